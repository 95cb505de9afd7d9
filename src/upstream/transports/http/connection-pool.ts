import type { TimerWheel } from '../../../base/timer-wheel.ts'
import { type DialTarget, dial } from './dial.ts'
import { type IdleKeeper, UpstreamConnection, type UpstreamTimeouts } from './upstream-connection.ts'

/** Unused connections kept to one endpoint by one thread. */
const IDLE_CONNECTIONS = 1024

/** The connections of one thread to one endpoint. The one used last is used next, so that surplus ones grow old and end. */
export class ConnectionPool implements IdleKeeper {
  readonly #wheel: TimerWheel
  readonly #idle: UpstreamConnection[] = []
  #target: DialTarget
  #timeouts: UpstreamTimeouts
  #closed = false

  constructor(wheel: TimerWheel, target: DialTarget, timeouts: UpstreamTimeouts) {
    this.#wheel = wheel
    this.#target = target
    this.#timeouts = timeouts
  }

  /** An unused open connection, or null. */
  take(): UpstreamConnection | null {
    return this.#idle.pop() ?? null
  }

  /** Opens a connection. `prelude` is sent before everything else and makes it useless for other clients. */
  open(prelude: Buffer | null): UpstreamConnection {
    const connection = new UpstreamConnection(this, this.#wheel, this.#timeouts)
    dial(connection, this.#target, prelude)
    return connection
  }

  /** Takes a connection back whose response is complete. */
  release(connection: UpstreamConnection, shareable: boolean): void {
    if (this.#closed || !shareable || !connection.reusable || this.#idle.length >= IDLE_CONNECTIONS) {
      connection.destroy()
      return
    }
    connection.rest()
    this.#idle.push(connection)
  }

  forget(connection: UpstreamConnection): void {
    const index = this.#idle.lastIndexOf(connection)
    if (index >= 0) this.#idle.splice(index, 1)
  }

  /** The endpoint has gone from the configuration: running exchanges finish, nothing is kept. */
  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.destroy()
  }

  get idleCount(): number {
    return this.#idle.length
  }
}
