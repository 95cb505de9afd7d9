import { createServer } from 'node:net'

/**
 * Tells whether several threads can listen on one port here, by opening one (SO_REUSEPORT with balancing: Linux and some
 * BSDs). Where not, the edge runs one data thread.
 */
export function supportsReusePort(): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port: 0, reusePort: true }, () => server.close(() => resolve(true)))
  })
}
