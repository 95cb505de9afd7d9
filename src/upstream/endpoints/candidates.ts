import { Health, Slot, TICK_MS, type UpstreamCells } from '../shared/cells.ts'
import type { Endpoint } from './endpoint.ts'

/** The weight an endpoint starts with when it comes back: enough to notice that it works. */
const SLOW_START_FLOOR = 0.1

/** The endpoints that may take a request at one time, with the weights they have then. */
export class Candidates {
  /** What the balancer chooses from. */
  chosen: Endpoint[] = []
  /** Weights of `chosen`, slow start included. */
  weights: Float64Array = new Float64Array(0)
  /** Available ones outside the own zone, for a retry when `chosen` holds only one. */
  reserve: Endpoint[] = []
  readonly #cells: UpstreamCells

  constructor(cells: UpstreamCells) {
    this.#cells = cells
  }

  /**
   * Looks at all endpoints. Healthy ones of the own zone come first; those of other zones only when there are none.
   * If ejections leave nobody, they are ignored: ejection must never take the last healthy endpoint, also when the others went
   * down after it. Returns when the result changes by time alone, in ms of the clock, or Infinity.
   */
  compute(endpoints: readonly Endpoint[], ownZone: string | null, slowStartMs: number, nowMs: number): number {
    const tick = this.#cells.tick(nowMs)
    const near: Endpoint[] = []
    const far: Endpoint[] = []
    const ejected: Endpoint[] = []
    let dueTick = Number.POSITIVE_INFINITY
    for (const endpoint of endpoints) {
      if (endpoint.weight <= 0 || this.#cell(endpoint, Slot.HEALTH) === Health.DOWN) continue
      const until = this.#cell(endpoint, Slot.EJECTED_UNTIL)
      if (until > tick) {
        dueTick = Math.min(dueTick, until)
        ejected.push(endpoint)
      } else if (ownZone === null || endpoint.zone === ownZone) near.push(endpoint)
      else far.push(endpoint)
    }
    this.chosen = near.length > 0 ? near : far.length > 0 ? far : ejected
    this.reserve = near.length > 0 ? far : []
    const slowTicks = slowStartMs / TICK_MS
    this.weights = new Float64Array(this.chosen.length)
    for (let i = 0; i < this.chosen.length; i++) {
      const share = this.#ramp(this.chosen[i]!, tick, slowTicks)
      this.weights[i] = this.chosen[i]!.weight * share
      if (share < 1) dueTick = tick + 1
    }
    return dueTick === Number.POSITIVE_INFINITY ? dueTick : this.#cells.tickStartMs(dueTick)
  }

  /** Share of its weight that an endpoint has at this tick, 0.1 to 1. */
  #ramp(endpoint: Endpoint, tick: number, slowTicks: number): number {
    const ejectedUntil = this.#cell(endpoint, Slot.EJECTED_UNTIL)
    const from = Math.max(this.#cell(endpoint, Slot.HEALTHY_FROM), ejectedUntil > tick ? 0 : ejectedUntil)
    if (from === 0 || tick - from >= slowTicks) return 1
    return Math.max(SLOW_START_FLOOR, (tick - from) / slowTicks)
  }

  #cell(endpoint: Endpoint, field: number): number {
    return Atomics.load(this.#cells.words, this.#cells.slotAt(endpoint.slot) + field)
  }
}
