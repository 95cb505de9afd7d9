import { type Balancer, createBalancer } from '../balancers/balancer.ts'
import { Ejection } from '../health/ejection.ts'
import { Header, type UpstreamCells } from '../shared/cells.ts'
import type { BalancerSettings, EjectionSettings } from '../shared/settings.ts'
import { Candidates } from './candidates.ts'
import { Endpoint, type EndpointObserver } from './endpoint.ts'
import type { EndpointSpec } from './endpoint-spec.ts'

export interface EndpointSetSettings {
  readonly balancer: BalancerSettings
  readonly ejection: EjectionSettings | null
  readonly slowStartMs: number
  /** Zone of this edge; null: zones do not matter. */
  readonly ownZone: string | null
}

/** What an EndpointSet is handed beside its settings. */
export interface EndpointSetInputs {
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** `sharedNowMs`, or another clock that all threads and main agree on. */
  readonly now: () => number
  /** Told of each ejection that this thread caused, for the log; null: nobody. */
  readonly onEjected: ((endpoint: Endpoint, forMs: number) => void) | null
}

/** The endpoints of one upstream in one thread, and the choice among them. Kept over reloads: `configure` and `update` change it. */
export class EndpointSet implements EndpointObserver {
  readonly #cells: UpstreamCells
  readonly #thread: number
  readonly #inputs: EndpointSetInputs
  readonly #candidates: Candidates
  #settings: EndpointSetSettings
  #balancer: Balancer
  #ejection: Ejection | null
  #endpoints: readonly Endpoint[] = []
  #slots: readonly number[] = []
  /** Value of the version cell that the candidates were made from. */
  #version = 0
  #stale = true
  /** When the candidates change without a new version: an ejection ends, a slow start goes on. */
  #dueMs = Number.POSITIVE_INFINITY

  constructor(cells: UpstreamCells, thread: number, settings: EndpointSetSettings, inputs: EndpointSetInputs) {
    this.#cells = cells
    this.#thread = thread
    this.#inputs = inputs
    this.#settings = settings
    this.#balancer = createBalancer(settings.balancer, inputs.random, inputs.now)
    this.#ejection = this.#createEjection(settings)
    this.#candidates = new Candidates(cells)
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints
  }

  /** Takes the settings of a reload; in-flight counts, health and connections stay. */
  configure(settings: EndpointSetSettings): void {
    this.#settings = settings
    this.#balancer = createBalancer(settings.balancer, this.#inputs.random, this.#inputs.now)
    this.#ejection = this.#createEjection(settings)
    this.#stale = true
  }

  /** Takes main's new list. Endpoints that stay keep their objects; returns those that left, whose idle connections can go. */
  update(specs: readonly EndpointSpec[]): Endpoint[] {
    const known = new Map(this.#endpoints.map((endpoint) => [endpoint.key, endpoint]))
    this.#endpoints = specs.map((spec) => {
      const endpoint = known.get(spec.key)
      if (endpoint === undefined || endpoint.slot !== spec.slot) {
        return new Endpoint(spec, this.#cells, this.#thread, this)
      }
      known.delete(spec.key)
      endpoint.weight = spec.weight
      endpoint.zone = spec.zone
      return endpoint
    })
    this.#slots = this.#endpoints.filter((endpoint) => endpoint.weight > 0).map((endpoint) => endpoint.slot)
    this.#stale = true
    return [...known.values()]
  }

  /**
   * Chooses the endpoint of an attempt; null when all are unhealthy: answer `upstream-unavailable`.
   * @param hash 32 bits of the caller's key, see `hashText`; only the hash balancer looks at it.
   * @param avoid the endpoint of the failed attempt: comes back only if there is no other.
   * @param tried those of all failed attempts; null: only `avoid`. One of them is chosen only when every one has been tried.
   */
  pick(hash: number, avoid: Endpoint | null, tried: readonly Endpoint[] | null = null): Endpoint | null {
    const picked = this.#pick(hash, avoid)
    if (picked === null || tried === null || !tried.includes(picked)) return picked
    const { chosen, reserve } = this.#candidates
    return this.#untried(chosen, tried) ?? this.#untried(reserve, tried) ?? picked
  }

  #untried(endpoints: readonly Endpoint[], tried: readonly Endpoint[]): Endpoint | null {
    const from = Math.floor(this.#inputs.random() * endpoints.length)
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[(from + i) % endpoints.length]!
      if (!tried.includes(endpoint)) return endpoint
    }
    return null
  }

  #pick(hash: number, avoid: Endpoint | null): Endpoint | null {
    if (
      this.#stale ||
      Atomics.load(this.#cells.words, Header.VERSION) !== this.#version ||
      (this.#dueMs !== Number.POSITIVE_INFINITY && this.#inputs.now() >= this.#dueMs)
    ) {
      this.#refresh()
    }
    const { chosen, reserve } = this.#candidates
    if (chosen.length === 0) return null
    if (chosen.length > 1) return this.#balancer.pick(hash, avoid)
    if (chosen[0] !== avoid || reserve.length === 0) return chosen[0]!
    return reserve[Math.floor(this.#inputs.random() * reserve.length)]!
  }

  observe(endpoint: Endpoint, latencyMs: number): void {
    this.#balancer.observe(endpoint, latencyMs)
  }

  failed(endpoint: Endpoint): void {
    this.#balancer.failed(endpoint)
    if (this.#ejection === null) return
    const forMs = this.#ejection.failed(endpoint.slot, this.#slots)
    if (forMs > 0) this.#inputs.onEjected?.(endpoint, forMs)
  }

  #createEjection(settings: EndpointSetSettings): Ejection | null {
    if (settings.ejection === null) return null
    return new Ejection(this.#cells, this.#thread, settings.ejection, this.#inputs.now)
  }

  #refresh(): void {
    // The version first: what changes while we look is looked at again.
    this.#version = Atomics.load(this.#cells.words, Header.VERSION)
    this.#stale = false
    const { ownZone, slowStartMs } = this.#settings
    this.#dueMs = this.#candidates.compute(this.#endpoints, ownZone, slowStartMs, this.#inputs.now())
    if (this.#candidates.chosen.length > 1) {
      this.#balancer.rebuild(this.#candidates.chosen, this.#candidates.weights)
    }
  }
}
