import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 4096

/** Random ids for traces, from the system's random source, drawn in bulk. One instance a data thread. */
export class RandomIds {
  readonly #pool = Buffer.alloc(POOL_BYTES)
  #at = POOL_BYTES

  /** 32 characters of lower-case hex, not all zero. */
  traceId(): string {
    return this.#take(16)
  }

  /** 16 characters of lower-case hex, not all zero. */
  spanId(): string {
    return this.#take(8)
  }

  #take(bytes: number): string {
    for (;;) {
      if (this.#at + bytes > POOL_BYTES) {
        randomFillSync(this.#pool)
        this.#at = 0
      }
      const start = this.#at
      this.#at += bytes
      for (let i = start; i < this.#at; i++) if (this.#pool[i] !== 0) return this.#pool.toString('hex', start, this.#at)
    }
  }
}
