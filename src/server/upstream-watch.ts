import { upstreamSettings } from '../config/compile-upstream.ts'
import type { Config } from '../config/root.schema.ts'
import { writeProxyV1, writeProxyV2 } from '../listener/proxy-protocol/write.ts'
import { systemLookup } from '../upstream/endpoints/name-watch.ts'
import { EndpointResolver } from '../upstream/endpoints/resolver.ts'
import type { ProbeSettings } from '../upstream/health/probe.ts'
import { Prober } from '../upstream/health/prober.ts'
import { UpstreamCells } from '../upstream/shared/cells.ts'
import { sharedNowMs } from '../upstream/shared/clock.ts'
import { setConcurrency } from '../upstream/shared/concurrency-cells.ts'
import { type EndpointGauges, readGauges, type UpstreamGauges } from '../upstream/shared/gauges.ts'
import type { UpstreamSettings } from '../upstream/shared/settings.ts'
import { SlotTable } from '../upstream/shared/slot-table.ts'
import type { MainService } from './main-service.ts'
import type { EndpointsChange, EndpointTable, Log } from './messages.ts'
import type { SharedMemory } from './shared-memory.ts'

/** How long a start or a reload waits for names to resolve; then it goes on, and the addresses follow when they come. */
const FIRST_LOOKUP_MS = 3_000

interface Watched {
  readonly buffer: SharedArrayBuffer
  readonly cells: UpstreamCells
  readonly resolver: EndpointResolver
  prober: Prober | null
}

export interface UpstreamWatchOptions {
  readonly tell: (change: EndpointsChange) => void
  readonly log: Log
}

/**
 * Watches the upstreams once for the whole process: resolves the names of endpoints and checks their health. What it
 * finds reaches the threads as messages (addresses) and through the shared cells (health).
 */
export class UpstreamWatch implements MainService {
  readonly name = 'upstreams'
  readonly #options: UpstreamWatchOptions
  readonly #watched = new Map<string, Watched>()
  /** Grows with the upstreams of all configurations so far. */
  readonly #ejections = new Map<string, number>()
  #next: { readonly config: Config; readonly shared: SharedMemory } | null = null
  /** During a commit the threads get the addresses with their commit message, at the same moment as the rest. */
  #quiet = false

  constructor(options: UpstreamWatchOptions) {
    this.#options = options
  }

  /** The addresses known now, by upstream. */
  endpoints(): EndpointTable {
    return Object.fromEntries([...this.#watched].map(([name, { resolver }]) => [name, resolver.list]))
  }

  /** One value for each endpoint as configured: see `mergeAddresses`. */
  endpointValues(read: (endpoint: EndpointState) => number): GaugeValue[] {
    const values: GaugeValue[] = []
    for (const [upstream, gauges] of this.#gauges()) {
      for (const state of mergeAddresses(gauges.endpoints)) {
        values.push({ labels: { upstream, endpoint: state.endpoint }, value: read(state) })
      }
    }
    return values
  }

  upstreamValues(read: (upstream: UpstreamGauges) => number): GaugeValue[] {
    return [...this.#gauges()].map(([upstream, gauges]) => ({ labels: { upstream }, value: read(gauges) }))
  }

  /** A thread ejected an endpoint: counted, and logged. */
  ejected(upstream: string, endpoint: string, forMs: number): void {
    this.#ejections.set(upstream, (this.#ejections.get(upstream) ?? 0) + 1)
    this.#options.log(
      'warn',
      'endpoint-ejected',
      `upstream ${upstream}: endpoint ${endpoint} is ejected for ${forMs / 1000} s after failures`,
    )
  }

  ejectionTotals(): GaugeValue[] {
    return [...this.#ejections].map(([upstream, value]) => ({ labels: { upstream }, value }))
  }

  async prepare(config: Config, shared: SharedMemory): Promise<readonly string[]> {
    this.#next = { config, shared }
    return []
  }

  async commit(): Promise<void> {
    if (this.#next === null) return
    const { config, shared } = this.#next
    this.#next = null
    this.#quiet = true
    for (const [name, watched] of this.#watched) {
      if (shared.upstreams[name] !== watched.buffer) this.#drop(name, watched)
    }
    const ready: Promise<void>[] = []
    for (const [name, upstream] of Object.entries(config.upstreams)) {
      const watched = this.#watched.get(name) ?? this.#add(name, shared.upstreams[name])
      this.#follow(watched, upstreamSettings(name, upstream))
      ready.push(watched.resolver.ready(FIRST_LOOKUP_MS))
    }
    await Promise.all(ready)
    this.#quiet = false
  }

  async abort(): Promise<void> {
    this.#next = null
  }

  async close(): Promise<void> {
    for (const [name, watched] of this.#watched) this.#drop(name, watched)
  }

  *#gauges(): Iterable<[string, UpstreamGauges]> {
    const now = sharedNowMs()
    for (const [name, { cells, resolver }] of this.#watched) yield [name, readGauges(cells, resolver.list, now)]
  }

  #add(name: string, buffer: SharedArrayBuffer): Watched {
    const { log } = this.#options
    const cells = new UpstreamCells(buffer)
    const resolver = new EndpointResolver({
      slots: new SlotTable(cells),
      now: sharedNowMs,
      lookup: systemLookup,
      onChange: (endpoints) => {
        this.#watched.get(name)?.prober?.update(endpoints)
        if (!this.#quiet) this.#options.tell({ upstream: name, endpoints })
      },
      onProblem: (host, error) => {
        if (error === null) log('info', 'name-resolves', `upstream ${name}: ${host} resolves again`)
        else log('warn', 'name-failing', `upstream ${name}: ${host}: ${error.message}`)
      },
    })
    const watched: Watched = { buffer, cells, resolver, prober: null }
    this.#watched.set(name, watched)
    return watched
  }

  #follow(watched: Watched, upstream: UpstreamSettings): void {
    const { log } = this.#options
    const { name } = upstream
    const { cells, resolver } = watched
    setConcurrency(cells, upstream.concurrency)
    const settings = probeSettings(upstream)
    if (settings === null) {
      watched.prober?.close()
      watched.prober = null
    } else if (watched.prober === null) {
      watched.prober = new Prober(cells, settings, {
        random: Math.random,
        now: sharedNowMs,
        onChange: ({ endpoint, address, isHealthy, problem }) => {
          const who = `upstream ${name}: endpoint ${endpoint}${address === null ? '' : ` (${address})`}`
          if (isHealthy) log('info', 'endpoint-healthy', `${who} is healthy`)
          else log('warn', 'endpoint-unhealthy', `${who} is unhealthy: ${problem}`)
        },
      })
    } else {
      watched.prober.configure(settings)
    }
    resolver.update(upstream.endpoints, upstream.dnsRefreshMs)
  }

  #drop(name: string, watched: Watched): void {
    watched.resolver.close()
    watched.prober?.close()
    this.#watched.delete(name)
  }
}

/** An endpoint as configured, all its addresses together. */
export interface EndpointState {
  readonly endpoint: string
  readonly healthy: boolean
  readonly ejected: boolean
  readonly inFlight: number
}

export interface GaugeValue {
  readonly labels: Record<string, string>
  readonly value: number
}

/** Addresses of one name are one endpoint: healthy when one of them is, ejected when all of them are. */
export function mergeAddresses(gauges: readonly EndpointGauges[]): EndpointState[] {
  const merged = new Map<string, EndpointState>()
  for (const { endpoint, healthy, ejected, inFlight } of gauges) {
    const known = merged.get(endpoint)
    if (known === undefined) merged.set(endpoint, { endpoint, healthy, ejected, inFlight })
    else
      merged.set(endpoint, {
        endpoint,
        healthy: known.healthy || healthy,
        ejected: known.ejected && ejected,
        inFlight: known.inFlight + inFlight,
      })
  }
  return [...merged.values()]
}

function probeSettings({ healthCheck, endpoints, tls, proxyProtocol }: UpstreamSettings): ProbeSettings | null {
  if (healthCheck === null) return null
  const isTcp = endpoints.some(({ url }) => url.startsWith('tcp:'))
  return {
    check: isTcp ? { ...healthCheck, path: null } : healthCheck,
    tls,
    prelude: preludeOf(proxyProtocol),
  }
}

/** A check is the edge's own connection: UNKNOWN in version 1, LOCAL in version 2 (proxy-protocol.txt 2.1, 2.2). */
function preludeOf(version: UpstreamSettings['proxyProtocol']): Buffer | null {
  if (version === null) return null
  return version === 'v1' ? writeProxyV1(null) : writeProxyV2(null)
}
