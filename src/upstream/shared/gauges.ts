import type { EndpointSpec } from '../endpoints/endpoint-spec.ts'
import { Header, Health, Slot, Thread, UNLIMITED_SLOTS, type UpstreamCells } from './cells.ts'

/** The state of one endpoint, for metrics and the admin API. */
export interface EndpointGauges {
  /** `host:port` as configured. Several addresses of one name share it. */
  readonly endpoint: string
  /** Resolved address; null for unix sockets. */
  readonly address: string | null
  /** False only when the active check failed. */
  readonly healthy: boolean
  readonly ejected: boolean
  /** Ejections in a row, for the length of the next. */
  readonly ejections: number
  readonly inFlight: number
}

/** The state of one upstream over all threads. */
export interface UpstreamGauges {
  /** Requests that run on endpoints. */
  readonly inFlight: number
  /** Slots of the concurrency limit in use; 0 without a limit. */
  readonly admitted: number
  readonly waiting: number
  /** Null when there is no limit. */
  readonly limit: number | null
  readonly endpoints: readonly EndpointGauges[]
}

/** Reads the gauges of one upstream. Works in any thread, takes no lock. */
export function readGauges(cells: UpstreamCells, specs: readonly EndpointSpec[], nowMs: number): UpstreamGauges {
  const { words } = cells
  const tick = cells.tick(nowMs)
  let inFlight = 0
  const endpoints = specs.map((spec) => {
    const at = cells.slotAt(spec.slot)
    const running = Atomics.load(words, at + Slot.IN_FLIGHT)
    inFlight += running
    return {
      endpoint: spec.label,
      address: spec.address,
      healthy: Atomics.load(words, at + Slot.HEALTH) !== Health.DOWN,
      ejected: Atomics.load(words, at + Slot.EJECTED_UNTIL) > tick,
      ejections: Atomics.load(words, at + Slot.EJECTIONS),
      inFlight: running,
    }
  })
  const limit = Atomics.load(words, Header.LIMIT)
  return {
    inFlight,
    admitted: sumOfLiving(cells, Thread.ADMITTED),
    waiting: sumOfLiving(cells, Thread.WAITING),
    limit: limit === UNLIMITED_SLOTS ? null : limit,
    endpoints,
  }
}

function sumOfLiving(cells: UpstreamCells, field: number): number {
  let sum = 0
  const threads = Atomics.load(cells.words, Header.THREADS)
  for (let thread = 0; thread < threads; thread++) {
    const at = cells.threadAt(thread)
    if (Atomics.load(cells.words, at + Thread.DEAD) === 0) sum += Atomics.load(cells.words, at + field)
  }
  return sum
}
