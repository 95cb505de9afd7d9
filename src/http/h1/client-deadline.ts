import type { Socket } from 'node:net'
import type { Timed, TimerWheel } from '../../base/timer-wheel.ts'
import type { ConnectionSettings } from './connection-settings.ts'
import { StuckWatch } from './stuck-watch.ts'

/** A lingering connection ends after this. */
const LINGER_MS = 2000

/** How long the client of a connection has for its next step, and whether it takes what is written to it. */
export class ClientDeadline {
  readonly #timed: Timed
  readonly #wheel: TimerWheel
  readonly #socket: Socket
  readonly #settings: ConnectionSettings
  readonly #watch = new StuckWatch()

  /** @param timed what is told when the time is over */
  constructor(timed: Timed, wheel: TimerWheel, socket: Socket, settings: ConnectionSettings) {
    this.#timed = timed
    this.#wheel = wheel
    this.#socket = socket
    this.#settings = settings
  }

  /** Reads the clock, at the start of an event. */
  touch(): void {
    this.#wheel.touch()
  }

  /** A request head has this long in all. */
  head(): void {
    this.#wheel.arm(this.#timed, this.#wheel.now() + this.#settings.timeouts.headMs)
  }

  /** The next piece of a body has this long, in either direction. */
  body(): void {
    this.#wheel.arm(this.#timed, this.#wheel.now() + this.#settings.timeouts.bodyMs)
  }

  /** The next request has this long to begin. */
  idle(): void {
    this.#wheel.arm(this.#timed, this.#wheel.now() + this.#settings.timeouts.idleMs)
  }

  /** From here on the client is watched for whether it takes what is written to it. */
  watch(): void {
    this.#watch.reset()
    this.body()
  }

  /** The last response has this long to be taken; after it the client is watched. */
  linger(): void {
    this.#watch.reset()
    this.#wheel.arm(this.#timed, this.#wheel.now() + LINGER_MS)
  }

  /** Whether the client took nothing of what waits for it since this was asked last. If it did, it has more time. */
  isStuck(): boolean {
    if (this.#watch.isStuck(this.#socket)) return true
    this.body()
    return false
  }

  /** Time has no limit any more. */
  stop(): void {
    this.#wheel.remove(this.#timed)
  }
}
