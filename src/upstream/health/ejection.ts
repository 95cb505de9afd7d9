import { Header, Health, Slot, TICK_MS, type UpstreamCells } from '../shared/cells.ts'
import type { EjectionSettings } from '../shared/settings.ts'
import { acquire, release } from '../shared/spin-lock.ts'

const MAX_FACTOR = 10

/** Whether a status says that the endpoint itself is broken or overloaded. 500 does not: one bad request must not eject it. */
export function isFailureStatus(status: number): boolean {
  return status === 502 || status === 503 || status === 504
}

/**
 * Passive health of one upstream in one thread: keeps requests away from an endpoint that failed several times in a row.
 *
 * Failures and ejections are counted in the cells, for all threads together. At most `maxShare` of the endpoints are out at
 * once, and never the last one that is available.
 */
export class Ejection {
  readonly #cells: UpstreamCells
  readonly #thread: number
  readonly #settings: EjectionSettings
  readonly #now: () => number

  constructor(cells: UpstreamCells, thread: number, settings: EjectionSettings, now: () => number) {
    this.#cells = cells
    this.#thread = thread
    this.#settings = settings
    this.#now = now
  }

  /** Counts a failure. Returns the length of the ejection in ms when this one caused it, else 0. @param slots all slots of the upstream. */
  failed(slot: number, slots: readonly number[]): number {
    const at = this.#cells.slotAt(slot)
    const words = this.#cells.words
    const tick = this.#cells.tick(this.#now())
    // What was under way when it was ejected says nothing new.
    if (Atomics.load(words, at + Slot.EJECTED_UNTIL) > tick) return 0
    if (Atomics.add(words, at + Slot.FAILURES, 1) + 1 < this.#settings.consecutiveFailures) return 0
    // Two threads that eject two endpoints at once could take out the last two.
    acquire(words, this.#thread)
    const ticks = this.#mayEject(slot, slots, tick) ? this.#eject(at, tick) : 0
    release(words)
    return ticks * TICK_MS
  }

  #mayEject(slot: number, slots: readonly number[], tick: number): boolean {
    const words = this.#cells.words
    let ejected = 0
    let available = 0
    let isMember = false
    for (let i = 0; i < slots.length; i++) {
      const at = this.#cells.slotAt(slots[i]!)
      const isOut = Atomics.load(words, at + Slot.EJECTED_UNTIL) > tick
      if (isOut) ejected++
      if (slots[i] === slot) {
        if (isOut) return false
        isMember = true
      } else if (!isOut && Atomics.load(words, at + Slot.HEALTH) !== Health.DOWN) available++
    }
    const share = this.#settings.maxShare
    const most = share > 0 ? Math.max(1, Math.floor(slots.length * share)) : 0
    return isMember && available > 0 && ejected < most
  }

  #eject(at: number, tick: number): number {
    const words = this.#cells.words
    const forTicks = Math.max(1, Math.ceil(this.#settings.forMs / TICK_MS))
    // Well for as long as the longest ejection: earlier ones are forgotten.
    const quiet = tick - Atomics.load(words, at + Slot.EJECTED_UNTIL) > forTicks * MAX_FACTOR
    const ejections = quiet ? 1 : Atomics.load(words, at + Slot.EJECTIONS) + 1
    const ticks = forTicks * Math.min(ejections, MAX_FACTOR)
    Atomics.store(words, at + Slot.EJECTIONS, ejections)
    Atomics.store(words, at + Slot.FAILURES, 0)
    Atomics.store(words, at + Slot.EJECTED_UNTIL, tick + ticks)
    Atomics.add(words, Header.VERSION, 1)
    return ticks
  }
}
