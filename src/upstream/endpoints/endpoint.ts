import { Slot, type UpstreamCells } from '../shared/cells.ts'
import type { EndpointSpec } from './endpoint-spec.ts'

/** Who is told how requests on an endpoint ended: its set, which has the balancer and the passive health. */
export interface EndpointObserver {
  observe(endpoint: Endpoint, latencyMs: number): void
  failed(endpoint: Endpoint): void
}

/**
 * One address of an upstream in one thread. Lives as long as main lists it, over reloads.
 *
 * Each attempt calls `started` once, `finished` once, and between them at most one of `succeeded` and `failed`.
 */
export class Endpoint {
  readonly key: string
  /** `host:port`, for logs. */
  readonly label: string
  readonly secure: boolean
  readonly host: string
  readonly port: number
  readonly unixPath: string | null
  readonly address: string | null
  readonly slot: number
  weight: number
  zone: string | null
  /** The transport's own state in this thread, such as its idle connections. */
  transport: unknown = null
  /** Its number in the metrics, of whoever counts attempts; -2 until it was looked up. */
  metric = -2

  // --- the balancers' own
  /** Round-robin: how far this endpoint is behind its share, in weights; kept here while the list changes. */
  credit = 0
  /** Latency: decaying peak in ms, 0 before the first observation, and when it was taken. */
  latencyMs = 0
  latencyAtMs = 0

  readonly #words: Int32Array
  readonly #inFlightAt: number
  readonly #ownInFlightAt: number
  readonly #failuresAt: number
  readonly #observer: EndpointObserver

  constructor(spec: EndpointSpec, cells: UpstreamCells, thread: number, observer: EndpointObserver) {
    this.key = spec.key
    this.label = spec.label
    this.secure = spec.secure
    this.host = spec.host
    this.port = spec.port
    this.unixPath = spec.unixPath
    this.address = spec.address
    this.slot = spec.slot
    this.weight = spec.weight
    this.zone = spec.zone
    this.#words = cells.words
    this.#inFlightAt = cells.slotAt(spec.slot) + Slot.IN_FLIGHT
    this.#ownInFlightAt = cells.inFlightAt(thread, spec.slot)
    this.#failuresAt = cells.slotAt(spec.slot) + Slot.FAILURES
    this.#observer = observer
  }

  /** Requests that run on this address now, in all threads. */
  get inFlight(): number {
    return Atomics.load(this.#words, this.#inFlightAt)
  }

  /** An attempt begins. */
  started(): void {
    Atomics.add(this.#words, this.#inFlightAt, 1)
    Atomics.add(this.#words, this.#ownInFlightAt, 1)
  }

  /** An attempt is over, however it ended. */
  finished(): void {
    Atomics.sub(this.#words, this.#inFlightAt, 1)
    Atomics.sub(this.#words, this.#ownInFlightAt, 1)
  }

  /** The endpoint answered. @param latencyMs from the attempt's start to its response head. */
  succeeded(latencyMs: number): void {
    // Read before writing: a store per request would move the cache line between the cores.
    if (Atomics.load(this.#words, this.#failuresAt) !== 0) Atomics.store(this.#words, this.#failuresAt, 0)
    this.#observer.observe(this, latencyMs)
  }

  /** The attempt failed by the endpoint's fault: connect error, reset, timeout, or a status of `isFailureStatus`. */
  failed(): void {
    this.#observer.failed(this)
  }
}
