import type { Socket } from 'node:net'

/** Holds the bytes that a connection cannot take yet, and holds its peer back. */
export class InputGate {
  readonly #socket: Socket
  #held: Buffer | null = null
  #paused = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** True when bytes are held. */
  get holds(): boolean {
    return this.#held !== null
  }

  /** True when the peer is held back. */
  get paused(): boolean {
    return this.#paused
  }

  /** Keeps a copy of bytes for later, in place of what was held. Returns how many are held. */
  hold(buf: Buffer, from: number, end: number): number {
    this.#held = Buffer.from(buf.subarray(from, end))
    return this.#held.length
  }

  /** Adds bytes behind the held ones, which stay held. */
  append(bytes: Buffer): Buffer {
    this.#held = this.#held === null ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes])
    return this.#held
  }

  /** Gives up what is held. */
  take(): Buffer | null {
    const held = this.#held
    this.#held = null
    return held
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
  }
}
