import { Slot, type UpstreamCells } from './cells.ts'
import { resetSlot } from './endpoint-cells.ts'

/**
 * Gives the endpoints of one upstream their slots in the cells. Main only; lives as long as the cells.
 *
 * A key keeps its slot for as long as it is used, over reloads and new DNS answers, and so keeps its health. A freed slot is
 * taken again as late as possible and only when nothing runs on it: a thread may still hold the old list.
 */
export class SlotTable {
  readonly #cells: UpstreamCells
  readonly #slots = new Map<string, number>()
  /** Free slots, the one freed longest ago first. */
  readonly #free: number[]
  #begun = false

  constructor(cells: UpstreamCells) {
    this.#cells = cells
    this.#free = Array.from({ length: cells.maxEndpoints }, (_, slot) => slot)
  }

  /**
   * Slots of these keys in their order, -1 for those that found no room; slots of all other keys become free.
   * What is added after the first call starts slow. Equal keys share a slot.
   */
  assign(keys: readonly string[], nowMs: number): number[] {
    const wanted = new Set(keys)
    for (const [key, slot] of this.#slots) {
      if (wanted.has(key)) continue
      this.#slots.delete(key)
      this.#free.push(slot)
    }
    const healthyFrom = this.#begun ? this.#cells.tick(nowMs) : 0
    this.#begun = true
    return keys.map((key) => this.#slots.get(key) ?? this.#take(key, healthyFrom))
  }

  #take(key: string, healthyFrom: number): number {
    const idle = this.#free.findIndex((slot) => this.#inFlight(slot) === 0)
    if (idle < 0) return -1
    const slot = this.#free.splice(idle, 1)[0]!
    this.#slots.set(key, slot)
    resetSlot(this.#cells, slot, healthyFrom)
    return slot
  }

  #inFlight(slot: number): number {
    return Atomics.load(this.#cells.words, this.#cells.slotAt(slot) + Slot.IN_FLIGHT)
  }
}
