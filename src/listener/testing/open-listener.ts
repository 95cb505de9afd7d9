import { createConnection, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { ReasonCode } from '../../base/errors.ts'
import type { ConnectionInfo } from '../../core/connection-info.ts'
import type { ConnectionSlot } from '../connection-slot.ts'
import { Listener } from '../listener.ts'
import type { ListenerSettings } from '../settings.ts'
import { createCountCells } from '../shared-count.ts'

/** What was handed over. */
export interface Delivered {
  readonly socket: Socket
  readonly info: ConnectionInfo
  readonly firstBytes: Buffer | null
  readonly slot: ConnectionSlot
}

/** A listener on 127.0.0.1 with what it delivered and reported. */
export class OpenListener {
  readonly listener: Listener
  readonly settings: ListenerSettings
  port = 0
  readonly delivered: Delivered[] = []
  readonly refused: (readonly [ReasonCode, string])[] = []
  readonly failed: (readonly [ReasonCode, string])[] = []
  /** How far the listener's clock is ahead of the real one. */
  clockAheadMs = 0
  accepted = 0
  closed = 0
  readonly #waiting: (() => void)[] = []
  readonly #clients: Socket[] = []

  constructor(settings: Partial<ListenerSettings>, ticketKeys: Buffer) {
    this.settings = {
      name: 'public',
      address: { host: '127.0.0.1', port: 0 },
      mode: 'http',
      tls: null,
      proxyProtocol: null,
      trustedProxies: null,
      limits: { connections: 100, connectionsPerClient: 100, handshakes: 100, handshakesPerClient: 100 },
      timeouts: { handshakeMs: 5000 },
      ...settings,
    }
    const share = {
      thread: 0,
      threads: 1,
      connectionCells: createCountCells(1),
      ticketKeys,
      now: () => Date.now() + this.clockAheadMs,
    }
    this.listener = new Listener(
      this.settings,
      share,
      (socket, info, firstBytes, slot) => {
        socket.on('error', () => {})
        socket.on('close', () => slot.release())
        this.delivered.push({ socket, info, firstBytes, slot })
        this.#changed()
      },
      {
        onAccepted: () => {
          this.accepted++
          this.#changed()
        },
        onClosed: () => {
          this.closed++
          this.#changed()
        },
        onRefused: (reason, ip) => {
          this.refused.push([reason, ip])
          this.#changed()
        },
        onHandshakeFailed: (reason, ip) => {
          this.failed.push([reason, ip])
          this.#changed()
        },
        onError: () => {},
      },
    )
  }

  /** Connects a plain client that is destroyed with the test. */
  connect(): Socket {
    const { address } = this.settings
    const socket = createConnection(
      'path' in address
        ? { path: address.path, allowHalfOpen: true }
        : { port: this.port, host: '127.0.0.1', allowHalfOpen: true },
    )
    socket.on('error', () => {})
    this.#clients.push(socket)
    return socket
  }

  /** Resolves once `done` holds; it is asked after every event. The test's own timeout is the bound. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** The next delivered connection, in order. */
  async next(): Promise<Delivered> {
    await this.until(() => this.delivered.length > 0)
    return this.delivered.shift()!
  }

  async close(): Promise<void> {
    for (const { socket } of this.delivered) socket.destroy()
    for (const socket of this.#clients) socket.destroy()
    await this.listener.stopAccepting()
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** Opens a listener that ends with the test. */
export async function openListener(
  t: TestContext,
  settings: Partial<ListenerSettings> = {},
  ticketKeys: Buffer = Buffer.alloc(48, 7),
): Promise<OpenListener> {
  const open = new OpenListener(settings, ticketKeys)
  t.after(() => open.close())
  open.port = await open.listener.listen()
  return open
}

/** Reads a socket up to the peer's FIN or reset, then closes it. */
export async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => {})
  socket.on('end', () => socket.destroy())
  socket.resume()
  await new Promise((resolve) => socket.on('close', resolve))
  return Buffer.concat(chunks).toString('latin1')
}
