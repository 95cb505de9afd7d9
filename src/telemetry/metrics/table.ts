/**
 * The table of metrics: what `/metrics` shows and what `docs/reference/metrics.md` is made from. Add a row before using its name.
 *
 * A label's value always comes from the configuration or from a table of ours, never from what a peer sends.
 */
export type MetricType = 'counter' | 'gauge' | 'histogram'

/** Who fills a metric: the cells that data threads write, a callback of the server, or the process itself. */
export type MetricSource = 'cells' | 'callback' | 'process'

export interface MetricRow {
  readonly type: MetricType
  readonly labels: readonly string[]
  readonly source: MetricSource
  readonly help: string
}

const row = <Source extends MetricSource>(
  type: MetricType,
  labels: readonly string[],
  source: Source,
  help: string,
): MetricRow & { readonly source: Source } => ({ type, labels, source, help })

export const METRICS = {
  // --- requests
  sallyport_requests_total: row(
    'counter',
    ['route', 'status'],
    'cells',
    'Requests that have ended, by class of the status sent (1xx to 5xx, none: closed without an answer). Requests that no route took have route "(none)".',
  ),
  sallyport_request_duration_seconds: row(
    'histogram',
    ['route'],
    'cells',
    'Time from the complete request head to the last byte of the response.',
  ),
  sallyport_request_body_bytes_total: row('counter', ['route'], 'cells', 'Bytes of request bodies received.'),
  sallyport_response_body_bytes_total: row('counter', ['route'], 'cells', 'Bytes of response bodies sent.'),
  sallyport_outcomes_total: row(
    'counter',
    ['outcome'],
    'cells',
    'Why requests ended: ok, or a reason code (see reason-codes.md).',
  ),
  sallyport_refusals_total: row(
    'counter',
    ['code'],
    'cells',
    'Requests and connections that were refused or failed, by reason code; fixed responses and redirects are not among them.',
  ),
  // --- endpoints
  sallyport_upstream_duration_seconds: row(
    'histogram',
    ['upstream'],
    'cells',
    'Time from the start of the first attempt to the response head of the endpoint.',
  ),
  sallyport_upstream_requests_total: row(
    'counter',
    ['upstream', 'endpoint', 'status'],
    'cells',
    'Attempts at endpoints, by class of the status they answered with (none: no answer).',
  ),
  sallyport_upstream_retries_total: row('counter', ['upstream'], 'cells', 'Attempts after the first one.'),
  sallyport_endpoint_healthy: row(
    'gauge',
    ['upstream', 'endpoint'],
    'callback',
    '1 when health checks find the endpoint healthy, else 0.',
  ),
  sallyport_endpoint_ejected: row(
    'gauge',
    ['upstream', 'endpoint'],
    'callback',
    '1 while the endpoint is ejected after failures, else 0.',
  ),
  sallyport_endpoint_requests_open: row(
    'gauge',
    ['upstream', 'endpoint'],
    'callback',
    'Requests that run at the endpoint now.',
  ),
  sallyport_upstream_ejections_total: row('counter', ['upstream'], 'callback', 'Endpoints ejected after failures.'),
  sallyport_upstream_queue_length: row(
    'gauge',
    ['upstream'],
    'callback',
    'Requests that wait for a place under `concurrency.limit`.',
  ),
  // --- connections
  sallyport_connections_total: row('counter', ['listener'], 'cells', 'Connections accepted.'),
  sallyport_connections_open: row('gauge', ['listener'], 'cells', 'Connections that are open now.'),
  sallyport_tls_handshakes_total: row(
    'counter',
    ['listener', 'result'],
    'cells',
    'TLS handshakes with clients that ended well (ok) or not (failed).',
  ),
  sallyport_tcp_received_bytes_total: row('counter', ['listener'], 'cells', 'Bytes received from clients in TCP mode.'),
  sallyport_tcp_sent_bytes_total: row('counter', ['listener'], 'cells', 'Bytes sent to clients in TCP mode.'),
  // --- the edge itself
  sallyport_log_lines_dropped_total: row(
    'counter',
    ['log'],
    'cells',
    'Log lines that found no room because the log could not be written fast enough.',
  ),
  sallyport_trace_spans_dropped_total: row('counter', [], 'cells', 'Spans that the trace collector did not take.'),
  sallyport_thread_loop_lag_seconds: row(
    'gauge',
    ['thread'],
    'cells',
    'How late the last timer of a data thread fired: its event loop was busy for so long.',
  ),
  sallyport_threads: row('gauge', [], 'cells', 'Data threads that run.'),
  sallyport_build_info: row('gauge', ['version', 'node'], 'process', 'Always 1; the labels tell what runs.'),
  process_resident_memory_bytes: row('gauge', [], 'process', 'Resident memory of the process.'),
  process_cpu_seconds_total: row('counter', [], 'process', 'CPU time of the process, all threads.'),
  process_start_time_seconds: row('gauge', [], 'process', 'When the process started, in seconds since 1970.'),
} as const satisfies Record<string, MetricRow>

export type MetricName = keyof typeof METRICS

/** Every metric's name, in the table's order. */
export const METRIC_NAMES = Object.keys(METRICS) as MetricName[]

/** Upper bounds of the histograms' buckets in milliseconds, without the last one (infinity). */
export const BUCKETS_MS: readonly number[] = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000,
]

/** Values of the `status` labels; the index is the cell: 0 means that no answer was sent. */
export const STATUS_CLASSES: readonly string[] = ['none', '1xx', '2xx', '3xx', '4xx', '5xx']

/** Values of the `log` label; the index is the cell. */
export const LOGS = ['access', 'audit'] as const

/** The route label of requests that no route took. */
export const NO_ROUTE = '(none)'
