import { createServer } from 'node:net'
import type { Config } from '../config/root.schema.ts'
import { addressText } from './listener-url.ts'
import type { MainService } from './main-service.ts'

/**
 * Refuses a configuration whose port another process has. Threads share ports (SO_REUSEPORT), and the kernel would share
 * them with any other process of the same user as well: a second edge would take half of the first one's connections
 * without a word. So each new port is opened once without sharing, and closed, before the threads open it.
 */
export class PortCheck implements MainService {
  readonly name = 'port check'
  /** Ports this process has now. Overlapping addresses on them, such as 0.0.0.0 and 127.0.0.1, are its own business. */
  #held = new Set<number>()
  #next = new Set<number>()

  async prepare(config: Config): Promise<readonly string[]> {
    this.#next = new Set()
    const checks: Promise<string | null>[] = []
    for (const [name, { address }] of Object.entries(config.listeners)) {
      if ('path' in address || address.port === 0) continue
      const checked = this.#held.has(address.port) || this.#next.has(address.port)
      this.#next.add(address.port)
      if (checked) continue
      checks.push(tryPort(address).then((problem) => problem && `listeners.${name}.address: ${problem}`))
    }
    return (await Promise.all(checks)).filter((problem) => problem !== null)
  }

  async commit(): Promise<void> {
    this.#held = this.#next
  }

  async abort(): Promise<void> {
    this.#next = new Set()
  }

  async close(): Promise<void> {}
}

function tryPort(address: { host: string; port: number }): Promise<string | null> {
  const server = createServer((socket) => socket.destroy())
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve(`cannot listen on ${addressText(address)} (${reasonOf(error)})`),
    )
    server.listen({ host: address.host, port: address.port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

function reasonOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'another process has this port'
    case 'EACCES':
      return 'this user may not; ports below 1024 need CAP_NET_BIND_SERVICE'
    case 'EADDRNOTAVAIL':
      return 'no network interface has this address'
    default:
      return error.message
  }
}
