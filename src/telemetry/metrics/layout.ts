import { OUTCOMES } from '../../core/outcome.ts'
import { BUCKETS_MS, LOGS, STATUS_CLASSES } from './table.ts'

/**
 * The names that metrics are counted by. Plain data: the main thread sends it to the data threads together with the cells.
 * A name's index in its list is its number for as long as the process lives; `mergeNames` only appends.
 */
export interface MetricNames {
  readonly listeners: readonly string[]
  readonly routes: readonly string[]
  readonly upstreams: readonly string[]
  readonly endpoints: readonly EndpointName[]
}

export interface EndpointName {
  readonly upstream: string
  /** `host:port` */
  readonly endpoint: string
}

const BUCKET_CELLS = BUCKETS_MS.length + 1

/** Cells of one listener, relative to its first. */
export const LISTENER = { accepted: 0, open: 1, tlsOk: 2, tlsFailed: 3, tcpReceived: 4, tcpSent: 5, size: 6 } as const

/** Cells of one route: status classes, buckets, sum of durations in ms, body bytes. */
export const ROUTE = {
  statuses: 0,
  buckets: STATUS_CLASSES.length,
  sumMs: STATUS_CLASSES.length + BUCKET_CELLS,
  bytesIn: STATUS_CLASSES.length + BUCKET_CELLS + 1,
  bytesOut: STATUS_CLASSES.length + BUCKET_CELLS + 2,
  size: STATUS_CLASSES.length + BUCKET_CELLS + 3,
} as const

export const UPSTREAM = { buckets: 0, sumMs: BUCKET_CELLS, retries: BUCKET_CELLS + 1, size: BUCKET_CELLS + 2 } as const

/** Cells of one endpoint: one for each status class. */
export const ENDPOINT = { size: STATUS_CLASSES.length } as const

/** Cells of the thread as a whole. */
export const THREAD = {
  outcomes: 0,
  connectionRefusals: OUTCOMES.length,
  logDropped: OUTCOMES.length * 2,
  spansDropped: OUTCOMES.length * 2 + LOGS.length,
  loopLagMs: OUTCOMES.length * 2 + LOGS.length + 1,
  size: OUTCOMES.length * 2 + LOGS.length + 2,
} as const

/** Where things are counted in an array of cells. Both sides compute the same one from the same names. */
export interface MetricLayout {
  readonly names: MetricNames
  readonly listeners: number
  /** The first route's cells; one more, before it, is for requests without a route. */
  readonly routes: number
  readonly upstreams: number
  readonly endpoints: number
  /** Number of cells. */
  readonly length: number
}

/** Lays the cells of these names out, one after the other. */
export function computeLayout(names: MetricNames): MetricLayout {
  const listeners = THREAD.size
  const routes = listeners + names.listeners.length * LISTENER.size + ROUTE.size
  const upstreams = routes + names.routes.length * ROUTE.size
  const endpoints = upstreams + names.upstreams.length * UPSTREAM.size
  return { names, listeners, routes, upstreams, endpoints, length: endpoints + names.endpoints.length * ENDPOINT.size }
}

/** Zeroed cells for a layout: one thread writes them, the main thread reads. */
export function createCells(layout: MetricLayout): SharedArrayBuffer {
  return new SharedArrayBuffer(layout.length * Float64Array.BYTES_PER_ELEMENT)
}

/**
 * The names of before with the new ones behind them, so that numbers handed out stay valid: an exchange that began before a reload
 * ends with the number it has. Returns `before` itself when nothing is new.
 */
export function mergeNames(before: MetricNames, next: MetricNames): MetricNames {
  const listeners = appendNew(before.listeners, next.listeners, (name) => name)
  const routes = appendNew(before.routes, next.routes, (name) => name)
  const upstreams = appendNew(before.upstreams, next.upstreams, (name) => name)
  const endpoints = appendNew(before.endpoints, next.endpoints, endpointKey)
  const isSame =
    listeners === before.listeners &&
    routes === before.routes &&
    upstreams === before.upstreams &&
    endpoints === before.endpoints
  return isSame ? before : { listeners, routes, upstreams, endpoints }
}

/** Names of nothing, to merge into. */
export const NO_NAMES: MetricNames = { listeners: [], routes: [], upstreams: [], endpoints: [] }

/** A text that is different for every endpoint of every upstream. */
export function endpointKey(name: EndpointName): string {
  return `${name.upstream}\n${name.endpoint}`
}

function appendNew<T>(before: readonly T[], next: readonly T[], keyOf: (item: T) => string): readonly T[] {
  const known = new Set(before.map(keyOf))
  const added: T[] = []
  for (const item of next) {
    const key = keyOf(item)
    if (known.has(key)) continue
    known.add(key)
    added.push(item)
  }
  return added.length === 0 ? before : [...before, ...added]
}
