import type { Endpoint } from '../endpoints/endpoint.ts'
import type { Balancer } from './balancer.ts'
import { WeightedSampler } from './weighted-sampler.ts'

/** Time in which an observation loses 63 % of its say. */
const DECAY_MS = 10_000
/** What a failure counts as at least: a fast failure must not look like a fast endpoint. */
const FAILURE_MS = 1000

/**
 * Peak EWMA: draws two endpoints by weight and takes the one with the smaller expected wait, its latency times what it runs.
 * A latency above the average replaces it at once, one below pulls it down slowly. Without news it decays, so that an
 * endpoint that was slow is tried again. An endpoint without any observation takes one request at a time.
 */
export class LatencyBalancer implements Balancer {
  readonly #sampler: WeightedSampler
  readonly #now: () => number
  #endpoints: readonly Endpoint[] = []
  #weights: Float64Array = new Float64Array(0)
  /** When the last answer came: exact enough for decay, and a pick need not read the clock. */
  #lastMs = 0

  /** @param random uniform in [0, 1). @param now ms of a monotonic clock. */
  constructor(random: () => number, now: () => number) {
    this.#sampler = new WeightedSampler(random)
    this.#now = now
  }

  rebuild(endpoints: readonly Endpoint[], weights: Float64Array): void {
    this.#endpoints = endpoints
    this.#weights = weights
    this.#sampler.rebuild(weights)
  }

  pick(_hash: number, avoid: Endpoint | null): Endpoint {
    const endpoints = this.#endpoints
    if (endpoints.length === 1) return endpoints[0]!
    const one = this.#sampler.draw()
    let two = this.#sampler.draw()
    if (two === one) two = one + 1 < endpoints.length ? one + 1 : 0
    const first = endpoints[one]!
    const second = endpoints[two]!
    if (first === avoid) return second
    if (second === avoid) return first
    const now = this.#lastMs
    return expectedMs(second, this.#weights[two]!, now) < expectedMs(first, this.#weights[one]!, now) ? second : first
  }

  observe(endpoint: Endpoint, latencyMs: number): void {
    const now = this.#now()
    const age = now - endpoint.latencyAtMs
    const current = endpoint.latencyMs
    if (current === 0 || latencyMs > current) endpoint.latencyMs = Math.max(latencyMs, 0.001)
    else endpoint.latencyMs = latencyMs + (current - latencyMs) * Math.exp(-age / DECAY_MS)
    endpoint.latencyAtMs = now
    this.#lastMs = now
  }

  failed(endpoint: Endpoint): void {
    this.observe(endpoint, Math.max(FAILURE_MS, endpoint.latencyMs))
  }
}

function expectedMs(endpoint: Endpoint, weight: number, now: number): number {
  const running = endpoint.inFlight
  if (endpoint.latencyMs === 0) return running === 0 ? 0 : Number.MAX_VALUE
  return endpoint.latencyMs * Math.exp((endpoint.latencyAtMs - now) / DECAY_MS) * (1 + running / weight)
}
