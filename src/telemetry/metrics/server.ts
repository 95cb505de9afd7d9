import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Exposition } from './exposition.ts'

export interface MetricsServerSettings {
  /** Address to listen on, IPv4 or IPv6 without brackets. */
  readonly host: string
  /** 0: any free one. */
  readonly port: number
}

/** Scrapers are few and small; a stranger must not use this port to hold memory or descriptors. */
const CONNECTIONS_LIMIT = 32
const HEAD_LIMIT_BYTES = 8 * 1024
const TIMEOUT_MS = 10_000

/** Serves `/metrics` to GET and HEAD, and nothing else. Runs in the main thread. */
export class MetricsServer {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  /** Resolves when it listens; rejects with the system's error when it cannot. */
  static listen(settings: MetricsServerSettings, exposition: Exposition): Promise<MetricsServer> {
    const limits = {
      maxHeaderSize: HEAD_LIMIT_BYTES,
      headersTimeout: TIMEOUT_MS,
      requestTimeout: TIMEOUT_MS,
      keepAliveTimeout: TIMEOUT_MS * 6,
      connectionsCheckingInterval: TIMEOUT_MS,
    }
    const server = createServer(limits, (request, response) => {
      // A body is never read: the connection ends with the answer instead.
      if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
        response.setHeader('Connection', 'close')
      }
      void answer(request.method ?? '', request.url ?? '', exposition, response)
    })
    server.maxConnections = CONNECTIONS_LIMIT
    server.setTimeout(TIMEOUT_MS * 7)
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(settings.port, settings.host, () => {
        server.removeListener('error', reject)
        resolve(new MetricsServer(server))
      })
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Stops listening and closes every connection. Resolves when that is done. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }
}

async function answer(method: string, url: string, exposition: Exposition, response: ServerResponse): Promise<void> {
  const isHere = url === '/metrics' || url.startsWith('/metrics?')
  if (!isHere) {
    refuse(response, 404, 'There is only /metrics here.\n')
    return
  }
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    refuse(response, 405, 'Only GET and HEAD.\n')
    return
  }
  try {
    const body = Buffer.from(await exposition.text())
    response.writeHead(200, { 'Content-Type': exposition.contentType, 'Content-Length': body.length })
    response.end(body)
  } catch {
    // A callback failed: a page with half of the numbers would look like the truth.
    refuse(response, 500, 'The metrics could not be read.\n')
  }
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' })
  response.end(text)
}
