import { randomBytes, randomInt } from 'node:crypto'

/** Two characters a number below 1,296 = 36 * 36. */
const PAIRS: readonly string[] = Array.from({ length: 1296 }, (_, n) => n.toString(36).padStart(2, '0'))
const HALF = 1296 * 1296
/** 36^8: how many ids one prefix gives. At 100,000 a second that lasts for 326 days. */
const PERIOD = HALF * HALF

/**
 * Makes request ids: 20 characters of [0-9a-z], unique across threads and restarts. One generator a thread.
 *
 * The first 12 characters are random for the generator (62 bits from the system's random source), the other 8 are a
 * counter that walks through all 36^8 values in a scrambled order: no id comes twice from one generator, and two ids tell
 * nobody at a glance how many requests lay between. They are names, not secrets.
 */
export class RequestIds {
  #prefix = ''
  #step = 1
  #at = 0
  #left = 0

  next(): string {
    if (this.#left === 0) this.#renew()
    this.#left--
    let at = this.#at + this.#step
    if (at >= PERIOD) at -= PERIOD
    this.#at = at
    const high = Math.floor(at / HALF)
    const low = at - high * HALF
    const a = (high / 1296) | 0
    const b = (low / 1296) | 0
    return (
      this.#prefix +
      (PAIRS[a] as string) +
      (PAIRS[high - a * 1296] as string) +
      (PAIRS[b] as string) +
      (PAIRS[low - b * 1296] as string)
    )
  }

  #renew(): void {
    let prefix = ''
    while (prefix.length < 12) {
      for (const byte of randomBytes(16)) {
        // 252 is the last multiple of 36 in a byte: above it some characters would come more often.
        if (byte < 252 && prefix.length < 12) prefix += (byte % 36).toString(36)
      }
    }
    this.#prefix = prefix
    this.#at = randomInt(HALF) * HALF + randomInt(HALF)
    // A step that shares no factor with 36^8 (neither 2 nor 3) visits every value before any comes again.
    let step = randomInt(HALF >> 1, HALF) * HALF + randomInt(HALF)
    while (step % 2 === 0 || step % 3 === 0) step++
    this.#step = step
    this.#left = PERIOD
  }
}
