import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import type { TLSSocket, TlsOptions } from 'node:tls'
import type { Ending } from './ending.ts'

/** A request as an endpoint saw it. */
export interface SeenRequest {
  readonly method: string
  readonly url: string
  /** Values by lower-case name, repeated ones joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** Names as they were sent, in order. */
  readonly names: readonly string[]
  readonly body: string
}

/** An HTTP(S) endpoint that keeps what it saw and answers with it as JSON; it ends the connection after a URL that ends in `close`. */
export interface EchoEndpoint {
  readonly port: number
  readonly url: string
  readonly seen: SeenRequest[]
  /** Connections taken so far, and for TLS those whose handshake is done, resumed ones among them. */
  connections: number
  handshakes: number
  resumed: number
  /** Subjects of the client certificates presented, `CN=edge`. */
  readonly subjects: string[]
}

/** @param tls what `node:tls` servers take; null for plain HTTP */
export async function echoEndpoint(ending: Ending, tls: TlsOptions | null = null, port = 0): Promise<EchoEndpoint> {
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    let body = ''
    request.setEncoding('latin1').on('data', (chunk: string) => {
      body += chunk
    })
    request.on('end', () => {
      const { method = '', url = '', rawHeaders } = request
      const headers: Record<string, string> = {}
      for (let i = 0; i < rawHeaders.length; i += 2) {
        const name = (rawHeaders[i] as string).toLowerCase()
        headers[name] = name in headers ? `${headers[name]}, ${rawHeaders[i + 1]}` : (rawHeaders[i + 1] as string)
      }
      const seen = { method, url, headers, names: rawHeaders.filter((_, i) => i % 2 === 0), body }
      echo.seen.push(seen)
      response.setHeader('Content-Type', 'application/json')
      if (url.endsWith('close')) response.setHeader('Connection', 'close')
      response.end(JSON.stringify(seen))
    })
  }
  const server = tls === null ? createServer(answer) : createHttpsServer(tls, answer)
  server.on('tlsClientError', () => {})
  server.on('clientError', (_error, socket) => socket.destroy())
  server.on('secureConnection', (socket: TLSSocket) => {
    echo.handshakes++
    if (socket.isSessionReused()) echo.resumed++
    const subject = socket.getPeerX509Certificate()?.subject
    if (subject !== undefined) echo.subjects.push(subject.split('\n').join(','))
  })
  server.on('connection', () => {
    echo.connections++
  })
  const bound = await listen(ending, server, port)
  const echo: EchoEndpoint = {
    port: bound,
    url: `${tls === null ? 'http' : 'https'}://127.0.0.1:${bound}`,
    seen: [],
    connections: 0,
    handshakes: 0,
    resumed: 0,
    subjects: [],
  }
  return echo
}

/** One connection that a raw endpoint took, with every byte that came. */
export class RawConnection {
  readonly socket: Socket
  received: Buffer = Buffer.alloc(0)
  ended = false
  closed = false

  constructor(socket: Socket) {
    this.socket = socket
  }
}

/** An endpoint that keeps every byte it gets. */
export interface RawEndpoint {
  readonly port: number
  readonly connections: RawConnection[]
}

/** @param onBytes called with each connection after new bytes, and at its end; answers as the test wants */
export async function rawEndpoint(
  ending: Ending,
  onBytes: (connection: RawConnection) => void = () => {},
): Promise<RawEndpoint> {
  const connections: RawConnection[] = []
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    const connection = new RawConnection(socket)
    connections.push(connection)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      connection.received = Buffer.concat([connection.received, chunk])
      onBytes(connection)
    })
    socket.on('end', () => {
      connection.ended = true
      onBytes(connection)
    })
    socket.on('close', () => {
      connection.closed = true
    })
  })
  return { port: await listen(ending, server), connections }
}

/** Listens on 127.0.0.1 until the test ends; its connections end with it. Resolves to the port. */
export async function listen(ending: Ending, server: Server, port = 0): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  ending.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
