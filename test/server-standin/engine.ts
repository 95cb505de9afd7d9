import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BoundListener } from '../../src/server/messages.ts'
import type { EngineHost, ListenResult, ThreadEngine } from '../../src/server/thread-engine.ts'

/** The configuration of the stand-in edge, a JSON file. */
export interface StandInConfig {
  /** Address by name, `127.0.0.1:0`. */
  readonly listeners: Readonly<Record<string, string>>
  /** Sent as the body of every answer, after the slot. */
  readonly reply: string
  readonly threads?: number
  /** Makes `prepare` fail. */
  readonly broken?: string
  readonly store?: string
  readonly drainTimeoutMs?: number
}

/**
 * A small engine on `node:http`, so that threads, reloads and drains are tested without the real one: it answers
 * `SLOT REPLY`, and obeys paths that make its thread fail.
 */
export function createStandInEngine(host: EngineHost): ThreadEngine {
  let current: StandInConfig | null = null
  let candidate: StandInConfig | null = null
  let generation = 0
  let draining = false
  const open = new Map<string, { server: Server; bound: BoundListener }>()
  let opened: string[] = []

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const pinned = current
    if (draining) response.setHeader('connection', 'close')
    const end = (): void => void response.end(`${host.slot} ${pinned?.reply} ${generation}`)
    if (request.url === '/throw') setImmediate(() => throwNow())
    else if (request.url === '/reject') void Promise.reject(new Error('nobody catches this'))
    else if (request.url === '/exit') process.exit(7)
    else if (request.url === '/memory') eatMemory()
    else if (request.url?.startsWith('/slow/') === true) {
      response.write('first ')
      setTimeout(end, Number(request.url.slice('/slow/'.length)))
    } else end()
  }

  const close = async (key: string): Promise<void> => {
    const server = open.get(key)?.server
    open.delete(key)
    server?.close()
    server?.closeIdleConnections()
  }

  return {
    async prepare({ config }) {
      const next = config as unknown as StandInConfig
      if (next.broken !== undefined) return [`broken: ${next.broken}`]
      candidate = next
      return []
    },
    async listen(ports): Promise<ListenResult> {
      const listeners: BoundListener[] = []
      for (const [name, address] of Object.entries(candidate?.listeners ?? {})) {
        const key = `${name} ${address}`
        let entry = open.get(key)
        if (entry === undefined) {
          const [ip, port] = address.split(':')
          const server = createServer(onRequest)
          const listening = once(server, 'listening')
          server.listen({ host: ip, port: ports[key] ?? Number(port), reusePort: host.reusePort })
          try {
            await listening
          } catch (error) {
            return { listeners, problems: [`${name}: ${(error as Error).message}`] }
          }
          const real = (server.address() as AddressInfo).port
          entry = { server, bound: { name, key, url: `http://${ip}:${real}`, port: real } }
          open.set(key, entry)
          opened.push(key)
        }
        listeners.push(entry.bound)
      }
      return { listeners, problems: [] }
    },
    async commit() {
      current = candidate
      generation++
      opened = []
      const wanted = new Set(Object.entries(current?.listeners ?? {}).map(([name, address]) => `${name} ${address}`))
      for (const key of [...open.keys()]) if (!wanted.has(key)) await close(key)
    },
    async abort() {
      candidate = null
      for (const key of opened) await close(key)
      opened = []
    },
    async drain(timeoutMs) {
      draining = true
      let cut = 0
      const closed = [...open.values()].map(async ({ server }) => {
        const done = once(server, 'close')
        server.close()
        server.closeIdleConnections()
        const timer = setTimeout(() => {
          cut++
          server.closeAllConnections()
        }, timeoutMs)
        await done
        clearTimeout(timer)
      })
      await Promise.all(closed)
      return cut
    },
    cut: () => {},
    stats: () => ({ connections: 0, heapBytes: process.memoryUsage().heapUsed }),
    setEndpoints: () => {},
    setTicketKeys: () => {},
    reopenLogs: () => host.log('info', 'reopened', `slot ${host.slot} reopened its logs`),
    closeLogs: async () => host.log('info', 'closed', `slot ${host.slot} closed its logs`),
  }
}

function throwNow(): never {
  throw new Error('thrown on purpose')
}

function eatMemory(): void {
  const kept: number[][] = []
  for (;;) kept.push(new Array<number>(100_000).fill(1.5))
}
