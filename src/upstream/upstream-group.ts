import type { TimerWheel } from '../base/timer-wheel.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Admission, UNLIMITED } from './admission/admission.ts'
import { ConcurrencyGate } from './admission/concurrency-gate.ts'
import type { Endpoint } from './endpoints/endpoint.ts'
import { EndpointSet, type EndpointSetSettings } from './endpoints/endpoint-set.ts'
import type { EndpointSpec } from './endpoints/endpoint-spec.ts'
import type { HashBy } from './hash-key.ts'
import { type AttemptListener, HttpUpstream } from './http-upstream.ts'
import { UpstreamCells } from './shared/cells.ts'
import { sharedNowMs } from './shared/clock.ts'
import type { UpstreamSettings } from './shared/settings.ts'

/** What one upstream is made from. */
export interface UpstreamPlan {
  readonly settings: UpstreamSettings
  readonly set: EndpointSetSettings
  readonly cells: SharedArrayBuffer
  readonly hashBy: HashBy | null
  readonly proxyHeader: ((exchange: Exchange) => Buffer) | null
}

export interface UpstreamGroupInputs {
  readonly thread: number
  readonly threads: number
  readonly wheel: TimerWheel
  readonly random: () => number
  readonly onEjected: (upstream: string, endpoint: Endpoint, forMs: number) => void
  readonly onRetry: (upstream: string) => void
  readonly onAttempt: AttemptListener
}

/** Retries per second of the whole process that no budget forbids. */
const RETRY_FLOOR = 3

interface Member {
  /** Settings as text: an upstream that a reload does not change keeps its object, connections and queue. */
  readonly key: string
  readonly buffer: SharedArrayBuffer
  readonly cells: UpstreamCells
  readonly set: EndpointSet
  readonly gate: ConcurrencyGate | null
  /** Applied to the gate at the commit: an aborted candidate changes nothing. */
  readonly queueTimeoutMs: number
  readonly upstream: HttpUpstream
}

/** The upstreams of one thread by name, over reloads: what a reload keeps keeps its connections, health and counts. */
export class UpstreamGroup {
  readonly #inputs: UpstreamGroupInputs
  #current = new Map<string, Member>()
  #candidate: Map<string, Member> | null = null

  constructor(inputs: UpstreamGroupInputs) {
    this.#inputs = inputs
  }

  /** Makes the upstreams of a candidate; nothing of the current ones changes. Throws for unusable TLS material. */
  prepare(plans: readonly UpstreamPlan[]): Map<string, HttpUpstream> {
    const next = new Map<string, Member>()
    for (const plan of plans) {
      const { name } = plan.settings
      const key = JSON.stringify({ ...plan, cells: null, proxyHeader: null })
      const known = this.#current.get(name)
      if (known !== undefined && known.key === key && known.buffer === plan.cells) next.set(name, known)
      else next.set(name, this.#make(plan, key, known?.buffer === plan.cells ? known : null))
    }
    this.#candidate = next
    return new Map([...next].map(([name, member]) => [name, member.upstream]))
  }

  /** The candidate is current; upstreams that left close what is idle. */
  commit(): void {
    const next = this.#candidate
    if (next === null) return
    for (const [name, member] of this.#current) if (next.get(name) !== member) member.upstream.close()
    for (const { gate, queueTimeoutMs } of next.values()) if (gate !== null) gate.queueTimeoutMs = queueTimeoutMs
    this.#current = next
    this.#candidate = null
  }

  abort(): void {
    this.#candidate = null
  }

  /** The addresses of one upstream as main knows them now; for a candidate too. */
  setEndpoints(name: string, specs: readonly EndpointSpec[]): void {
    this.#candidate?.get(name)?.upstream.update(specs)
    this.#current.get(name)?.upstream.update(specs)
  }

  get(name: string): HttpUpstream | null {
    return this.#current.get(name)?.upstream ?? null
  }

  #make(plan: UpstreamPlan, key: string, known: Member | null): Member {
    const { thread, threads, wheel, random, onEjected, onRetry, onAttempt } = this.#inputs
    const { settings } = plan
    const cells = known?.cells ?? new UpstreamCells(plan.cells)
    // A set of its own: the one in force must not change before the commit.
    const set = new EndpointSet(cells, thread, plan.set, {
      random,
      now: sharedNowMs,
      onEjected: (endpoint, forMs) => onEjected(settings.name, endpoint, forMs),
    })
    const gate = this.#gate(plan, cells, known)
    const admission: Admission = gate ?? UNLIMITED
    const upstream = new HttpUpstream(settings, {
      wheel,
      set,
      admission,
      hashBy: plan.hashBy,
      retryFloor: RETRY_FLOOR / threads,
      proxyHeader: plan.proxyHeader,
      onRetry,
      onAttempt,
    })
    const queueTimeoutMs = settings.concurrency?.queueTimeoutMs ?? 0
    return { key, buffer: plan.cells, cells, set, gate, queueTimeoutMs, upstream }
  }

  /** One gate per cells and thread: two would not know of each other's waiters. */
  #gate(plan: UpstreamPlan, cells: UpstreamCells, known: Member | null): ConcurrencyGate | null {
    const { concurrency } = plan.settings
    if (concurrency === null) return known?.gate ?? null
    return known?.gate ?? new ConcurrencyGate(cells, this.#inputs.thread, concurrency.queueTimeoutMs, sharedNowMs)
  }
}
