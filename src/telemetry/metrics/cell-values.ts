import { OUTCOMES } from '../../core/outcome.ts'
import type { MetricTotals } from './book.ts'
import { ENDPOINT, LISTENER, ROUTE, THREAD, UPSTREAM } from './layout.ts'
import { BUCKETS_MS, LOGS, type MetricName, NO_ROUTE, STATUS_CLASSES } from './table.ts'

/** One line of the exposition, as prom-client takes it. */
export interface MetricValue {
  readonly metricName?: string
  readonly labels: Record<string, string | number>
  readonly value: number
}

type Labels = Record<string, string | number>
type CellReader = (totals: MetricTotals) => MetricValue[]

/** Outcomes that are answers by configuration and no refusals. */
const NO_REFUSALS: ReadonlySet<string> = new Set(['ok', 'fixed-response', 'redirect'])
const LE: readonly (number | string)[] = [...BUCKETS_MS.map((ms) => ms / 1000), '+Inf']

/**
 * Turns cells into the values of each metric whose source is `cells`. A route, an endpoint or a histogram shows up with its
 * first request: with thousands of routes the page would otherwise be mostly zeros.
 */
export const CELL_READERS: ReadonlyMap<MetricName, CellReader> = new Map<MetricName, CellReader>([
  ['sallyport_requests_total', (totals) => routes(totals, (at, labels) => statusValues(totals, at, labels))],
  [
    'sallyport_request_duration_seconds',
    (totals) =>
      routes(totals, (at, labels) =>
        histogram(totals, 'sallyport_request_duration_seconds', labels, at + ROUTE.buckets, at + ROUTE.sumMs),
      ),
  ],
  ['sallyport_request_body_bytes_total', (totals) => routes(totals, one(totals, ROUTE.bytesIn))],
  ['sallyport_response_body_bytes_total', (totals) => routes(totals, one(totals, ROUTE.bytesOut))],
  [
    'sallyport_outcomes_total',
    (totals) =>
      OUTCOMES.map((outcome, n) => ({ labels: { outcome }, value: totals.cells[THREAD.outcomes + n] as number })),
  ],
  ['sallyport_refusals_total', refusals],
  [
    'sallyport_upstream_duration_seconds',
    (totals) =>
      upstreams(totals, (at, labels) =>
        histogram(totals, 'sallyport_upstream_duration_seconds', labels, at + UPSTREAM.buckets, at + UPSTREAM.sumMs),
      ),
  ],
  ['sallyport_upstream_requests_total', endpoints],
  ['sallyport_upstream_retries_total', (totals) => upstreams(totals, one(totals, UPSTREAM.retries))],
  ['sallyport_connections_total', (totals) => listeners(totals, one(totals, LISTENER.accepted))],
  ['sallyport_connections_open', (totals) => listeners(totals, one(totals, LISTENER.open))],
  [
    'sallyport_tls_handshakes_total',
    (totals) =>
      listeners(totals, (at, labels) => [
        { labels: { ...labels, result: 'ok' }, value: totals.cells[at + LISTENER.tlsOk] as number },
        { labels: { ...labels, result: 'failed' }, value: totals.cells[at + LISTENER.tlsFailed] as number },
      ]),
  ],
  ['sallyport_tcp_received_bytes_total', (totals) => listeners(totals, one(totals, LISTENER.tcpReceived))],
  ['sallyport_tcp_sent_bytes_total', (totals) => listeners(totals, one(totals, LISTENER.tcpSent))],
  [
    'sallyport_log_lines_dropped_total',
    (totals) => LOGS.map((log, n) => ({ labels: { log }, value: totals.cells[THREAD.logDropped + n] as number })),
  ],
  [
    'sallyport_trace_spans_dropped_total',
    (totals) => [{ labels: {}, value: totals.cells[THREAD.spansDropped] as number }],
  ],
  [
    'sallyport_thread_loop_lag_seconds',
    (totals) => totals.loopLags.map(([thread, ms]) => ({ labels: { thread: String(thread) }, value: ms / 1000 })),
  ],
  ['sallyport_threads', (totals) => [{ labels: {}, value: totals.loopLags.length }]],
])

type Reader = (at: number, labels: Labels) => MetricValue[]

function one(totals: MetricTotals, cell: number): Reader {
  return (at, labels) => [{ labels, value: totals.cells[at + cell] as number }]
}

function routes(totals: MetricTotals, read: Reader): MetricValue[] {
  const { layout } = totals
  const values: MetricValue[] = []
  for (let n = -1; n < layout.names.routes.length; n++) {
    const at = layout.routes + n * ROUTE.size
    if (!isUsed(totals, at + ROUTE.statuses, STATUS_CLASSES.length)) continue
    values.push(...read(at, { route: n < 0 ? NO_ROUTE : (layout.names.routes[n] as string) }))
  }
  return values
}

function upstreams(totals: MetricTotals, read: Reader): MetricValue[] {
  const { layout } = totals
  return layout.names.upstreams.flatMap((upstream, n) => read(layout.upstreams + n * UPSTREAM.size, { upstream }))
}

function listeners(totals: MetricTotals, read: Reader): MetricValue[] {
  const { layout } = totals
  return layout.names.listeners.flatMap((listener, n) => read(layout.listeners + n * LISTENER.size, { listener }))
}

function endpoints(totals: MetricTotals): MetricValue[] {
  const { layout } = totals
  return layout.names.endpoints.flatMap(({ upstream, endpoint }, n) =>
    statusValues(totals, layout.endpoints + n * ENDPOINT.size, { upstream, endpoint }),
  )
}

function statusValues(totals: MetricTotals, at: number, labels: Labels): MetricValue[] {
  if (!isUsed(totals, at, STATUS_CLASSES.length)) return []
  const values: MetricValue[] = []
  for (const [n, status] of STATUS_CLASSES.entries()) {
    const value = totals.cells[at + n] as number
    // The common classes are shown also at 0, so that a rate exists before the first failure.
    if (value !== 0 || n >= 2) values.push({ labels: { ...labels, status }, value })
  }
  return values
}

function histogram(totals: MetricTotals, name: MetricName, labels: Labels, at: number, sumAt: number): MetricValue[] {
  const values: MetricValue[] = []
  let count = 0
  for (const [n, le] of LE.entries()) {
    count += totals.cells[at + n] as number
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: count })
  }
  if (count === 0) return []
  values.push({ metricName: `${name}_sum`, labels, value: (totals.cells[sumAt] as number) / 1000 })
  values.push({ metricName: `${name}_count`, labels, value: count })
  return values
}

function refusals(totals: MetricTotals): MetricValue[] {
  const values: MetricValue[] = []
  for (const [n, code] of OUTCOMES.entries()) {
    if (NO_REFUSALS.has(code)) continue
    const ofExchanges = totals.cells[THREAD.outcomes + n] as number
    const ofConnections = totals.cells[THREAD.connectionRefusals + n] as number
    values.push({ labels: { code }, value: ofExchanges + ofConnections })
  }
  return values
}

function isUsed(totals: MetricTotals, at: number, length: number): boolean {
  for (let i = at; i < at + length; i++) if (totals.cells[i] !== 0) return true
  return false
}
