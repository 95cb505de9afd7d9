/** How often a thread may die before the process gives up: more than this within `WINDOW_MS`, all threads together. */
export const MAX_DEATHS = 10
const WINDOW_MS = 60_000
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 5_000

/**
 * Decides when a dead data thread is started again.
 *
 * Each death within a minute of the slot's last one doubles its delay, 100 ms to 5 s, so that a thread that dies at once
 * does not eat the processor; a crash after a quiet minute is repaired within 100 ms.
 */
export class RestartPolicy {
  readonly #limit: number
  readonly #deaths: number[] = []
  readonly #slots = new Map<number, { delayMs: number; lastMs: number }>()

  constructor(limit: number = MAX_DEATHS) {
    this.#limit = limit
  }

  /** Milliseconds to wait before the slot is filled again; null when there were too many deaths and the process must end. */
  death(slot: number, nowMs: number): number | null {
    while (this.#deaths.length > 0 && nowMs - this.#deaths[0] >= WINDOW_MS) this.#deaths.shift()
    this.#deaths.push(nowMs)
    if (this.#deaths.length > this.#limit) return null
    const last = this.#slots.get(slot)
    const again = last !== undefined && nowMs - last.lastMs < WINDOW_MS
    const delayMs = again ? Math.min(last.delayMs * 2, MAX_DELAY_MS) : FIRST_DELAY_MS
    this.#slots.set(slot, { delayMs, lastMs: nowMs })
    return delayMs
  }
}
