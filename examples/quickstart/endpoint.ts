import { once } from 'node:events'
import { createServer } from 'node:http'

export interface Endpoint {
  /** Stops listening and ends its connections. */
  close(): void
}

/**
 * Starts a small service on 127.0.0.1 that answers every request with what it received, as JSON.
 * Throws a sentence for the user when the port is taken.
 */
export async function startEndpoint(name: string, port: number): Promise<Endpoint> {
  const server = createServer((request, response) => {
    response.setHeader('Content-Type', 'application/json')
    response.setHeader('X-Powered-By', 'node:http')
    const { method, url: path, headers } = request
    response.end(`${JSON.stringify({ endpoint: name, method, path, headers }, null, 2)}\n`)
  })
  server.listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
    throw new Error(
      `Port ${port}, where the example endpoint "${name}" would listen, is taken. End what uses it and start again.`,
    )
  }
  return {
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
