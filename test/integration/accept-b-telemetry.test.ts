/** Access log, metrics, request ids and traces of a running edge with two threads. */
import assert from 'node:assert/strict'
import { readFileSync, renameSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { eventually } from '../server-standin/process.ts'
import { freePort } from '../server-standin/real-edge.ts'
import { type Answer, ask, askMany } from '../support/ask.ts'
import { type AccessLogLine, RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { type EchoEndpoint, echoEndpoint, listen, rawEndpoint } from '../support/endpoints.ts'
import { Puppet } from '../support/puppet.ts'
import { connectTo, exchangeBytes } from '../support/raw-client.ts'
import { readMetrics } from '../support/read-metrics.ts'

const ending = endOfFile()
let edge: RunningEdge
let port = 0
let metrics = ''
let echo: EchoEndpoint
let two: Puppet
let closedPort = 0
let rawPort = 0
let collectorPort = 0
/** Bodies that the trace collector got. */
const collected: string[] = []

const yaml = (accessLog = 'access.jsonl', traces = ''): string => `
listeners:
  public: { address: '127.0.0.1:0', limits: { bodyBytes: 1KiB, urlBytes: 200B, headBytes: 2KiB, headers: 20 }, timeouts: { head: 300ms, body: 300ms } }
  trusting: { address: '127.0.0.1:0', trustedProxies: [127.0.0.1/32] }
upstreams:
  echo: { endpoints: ['${echo.url}'] }
  two: { endpoints: ['${two.url}'], ejection: off }
  closed: { endpoints: ['http://127.0.0.1:${closedPort}'], ejection: off }
  raw: { endpoints: ['http://127.0.0.1:${rawPort}'], ejection: off, timeouts: { response: 200ms, idle: 300ms } }
routes:
  - { name: echo, path: /echo/*, upstream: echo }
  - { name: two, path: /two/*, upstream: two }
  - { name: closed, path: /closed, upstream: closed }
  - { name: raw, path: '/raw/{kind}', upstream: raw }
  - { name: fixed, path: /fixed, methods: [GET], respond: { status: 203, body: 'fixed' } }
  - { name: moved, path: /moved, redirect: { to: /fixed } }
telemetry:
  accessLog: { path: ${accessLog} }
  metrics: { address: '127.0.0.1:0' }
${traces === '' ? '' : `  traces: { otlp: '${traces}' }\n`}`

before(async () => {
  echo = await echoEndpoint(ending)
  two = await Puppet.start(ending, 'two')
  closedPort = await freePort()
  rawPort = (
    await rawEndpoint(ending, ({ received, socket, ended }) => {
      const kind = /\/raw\/(\w+)/.exec(received.toString('latin1'))?.[1]
      if (ended) return
      if (kind === 'reset') socket.resetAndDestroy()
      else if (kind === 'invalid') socket.write('HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n')
      else if (kind === 'stall') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    })
  ).port
  const collector = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      if (request.url === '/v1/traces') collected.push(body)
      response.end('{}')
    })
  })
  collectorPort = await listen(ending, collector)
  edge = new RunningEdge(ending)
  const process = await edge.start(yaml(), '--threads', '2')
  metrics = (await process.errLine(/metrics at (http:[^"\s]+)/))[1]
  port = edge.port('public')
})

const FIELDS =
  'time id client method scheme host path query status outcome route upstream endpoint attempts durationMs upstreamMs bytesIn bytesOut key plan protocol tls waf'

/** What a line must say; what is not named here must be null or a plain number. */
interface Expected {
  readonly outcome: string
  readonly status: number | null
  readonly route?: string | null
  readonly upstream?: string
  readonly attempts?: number
  readonly bytesIn?: number
  readonly bytesOut?: number
  readonly answered?: boolean
  readonly path?: string | null
  readonly method?: string | null
}

function checkLine(line: AccessLogLine, expected: Expected, what: string): void {
  assert.equal(Object.keys(line).join(' '), FIELDS, what)
  assert.match(String(line.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, what)
  assert.match(String(line.id), /^[0-9a-z]{20}$/, what)
  assert.equal(line.client, '127.0.0.1', what)
  assert.equal(line.scheme, 'http', what)
  assert.deepEqual([line.outcome, line.status], [expected.outcome, expected.status], what)
  if (expected.route !== undefined) assert.equal(line.route, expected.route, what)
  assert.equal(line.upstream, expected.upstream ?? null, what)
  assert.equal(line.attempts, expected.attempts ?? (expected.upstream === undefined ? 0 : 1), what)
  assert.equal(line.endpoint === null, expected.upstream === undefined, what)
  assert.equal(typeof line.durationMs, 'number', what)
  assert.equal(line.upstreamMs === null, !expected.answered, `${what}: upstreamMs ${line.upstreamMs}`)
  if (expected.bytesIn !== undefined) assert.equal(line.bytesIn, expected.bytesIn, what)
  if (expected.bytesOut !== undefined) assert.equal(line.bytesOut, expected.bytesOut, what)
  if (expected.path !== undefined) assert.equal(line.path, expected.path, what)
  if (expected.method !== undefined) assert.equal(line.method, expected.method, what)
  assert.deepEqual([line.key, line.plan, line.tls, line.waf], [null, null, null, null], what)
  assert.match(String(line.protocol), /^HTTP\/1\.[01]$/, what)
}

/** Runs requests one after the other and gives the lines they left, in that order. */
async function linesOf(runs: readonly (() => Promise<unknown>)[]): Promise<AccessLogLine[]> {
  const before = edge.log().length
  for (const run of runs) {
    await run()
    // Their order in the file is that of two threads; by their times they can be told apart when no two share one.
    for (const now = Date.now(); Date.now() === now; ) await new Promise((resolve) => setImmediate(resolve))
  }
  await edge.lines(before + runs.length, 'all', () => true)
  const lines = edge.log().slice(before)
  assert.equal(lines.length, runs.length)
  return lines.sort((a, b) => (String(a.time) < String(b.time) ? -1 : 1))
}

test('each outcome has its line with exactly the promised fields', async () => {
  const raw = (bytes: string) => () => exchangeBytes(port, bytes)
  const get = (path: string, more = ''): string =>
    `GET ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n${more}\r\n`
  const rows: [string, () => Promise<unknown>, Expected][] = [
    [
      'ok',
      () => ask(port, '/two/x?a=1'),
      {
        outcome: 'ok',
        status: 200,
        route: 'two',
        upstream: 'two',
        answered: true,
        bytesIn: 0,
        bytesOut: 3,
        path: '/two/x',
        method: 'GET',
      },
    ],
    [
      'ok with a body',
      () => ask(port, '/two/x', { method: 'POST', body: 'hello' }),
      {
        outcome: 'ok',
        status: 200,
        route: 'two',
        upstream: 'two',
        answered: true,
        bytesIn: 5,
        bytesOut: 3,
        method: 'POST',
      },
    ],
    [
      'HTTP/1.0',
      raw('GET /two/old HTTP/1.0\r\nHost: a\r\n\r\n'),
      { outcome: 'ok', status: 200, upstream: 'two', answered: true, path: '/two/old' },
    ],
    ['fixed', () => ask(port, '/fixed'), { outcome: 'fixed-response', status: 203, route: 'fixed', bytesOut: 5 }],
    ['redirect', () => ask(port, '/moved'), { outcome: 'redirect', status: 308, route: 'moved' }],
    ['no route', () => ask(port, '/none'), { outcome: 'route-not-found', status: 404, route: null, path: '/none' }],
    [
      'method',
      () => ask(port, '/fixed', { method: 'PUT' }),
      { outcome: 'method-not-allowed', status: 405, route: null, method: 'PUT' },
    ],
    [
      'TRACE',
      () => ask(port, '/echo/x', { method: 'TRACE' }),
      { outcome: 'method-refused', status: 501, method: 'TRACE' },
    ],
    ['request line', raw('GET  /x HTTP/1.1\r\nHost: a\r\n\r\n'), { outcome: 'request-line-invalid', status: 400 }],
    [
      'header',
      raw(get('/echo/h', 'Bad Name: x\r\n')),
      { outcome: 'header-invalid', status: 400, path: '/echo/h', method: 'GET' },
    ],
    ['large head', raw(get('/echo/h', `X: ${'x'.repeat(3000)}\r\n`)), { outcome: 'header-too-large', status: 431 }],
    ['many headers', raw(get('/echo/h', 'X: 1\r\n'.repeat(30))), { outcome: 'header-too-many', status: 431 }],
    ['long target', raw(get(`/echo/${'x'.repeat(300)}`)), { outcome: 'url-too-long', status: 414 }],
    ['version', raw('GET /echo/v HTTP/2.7\r\nHost: a\r\n\r\n'), { outcome: 'version-unsupported', status: 505 }],
    ['host', raw('GET /echo/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'), { outcome: 'host-invalid', status: 400 }],
    [
      'framing',
      raw('POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'),
      { outcome: 'framing-invalid', status: 400 },
    ],
    [
      'coding',
      raw('POST /echo/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'),
      { outcome: 'transfer-coding-unsupported', status: 501 },
    ],
    [
      'chunk',
      raw('POST /echo/chunk HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'),
      { outcome: 'chunk-invalid', status: 400, upstream: 'echo' },
    ],
    ['expectation', raw(get('/echo/x', 'Expect: miracles\r\n')), { outcome: 'expectation-failed', status: 417 }],
    [
      'large body',
      () => ask(port, '/echo/x', { method: 'POST', body: 'x'.repeat(2000) }),
      { outcome: 'body-too-large', status: 413 },
    ],
    ['path', raw(get('/echo/%zz')), { outcome: 'path-invalid', status: 400 }],
    ['slow head', raw('GET /echo/slow HTTP/1.1\r\nHost:'), { outcome: 'head-timeout', status: 408 }],
    [
      'slow body',
      raw('POST /echo/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour'),
      { outcome: 'body-timeout', status: 408, upstream: 'echo', bytesIn: 4 },
    ],
    [
      'refused',
      () => ask(port, '/closed'),
      { outcome: 'upstream-connect-failed', status: 502, route: 'closed', upstream: 'closed' },
    ],
    ['reset', () => ask(port, '/raw/reset'), { outcome: 'upstream-reset', status: 502, route: 'raw', upstream: 'raw' }],
    [
      'invalid',
      () => ask(port, '/raw/invalid'),
      { outcome: 'upstream-response-invalid', status: 502, upstream: 'raw' },
    ],
    ['silent', () => ask(port, '/raw/hang'), { outcome: 'upstream-response-timeout', status: 504, upstream: 'raw' }],
    [
      'stalled',
      () => ask(port, '/raw/stall').catch(() => {}),
      { outcome: 'upstream-body-timeout', status: 200, upstream: 'raw', answered: true, bytesOut: 4 },
    ],
    [
      'gone',
      async () => {
        two.behaviour = 'hang'
        const hits = two.hits
        const socket = await connectTo(port)
        socket.write(get('/two/gone'))
        await eventually('the request', async () => two.hits > hits || null)
        socket.resetAndDestroy()
        two.behaviour = 200
      },
      { outcome: 'client-gone', status: null, route: 'two', upstream: 'two', path: '/two/gone' },
    ],
  ]
  const lines = await linesOf(rows.map(([, run]) => run))
  for (const [n, [what, , expected]] of rows.entries()) checkLine(lines[n], expected, what)
  assert.equal(rows.length, 29)
})

test('metrics add up right after known traffic on two threads', async () => {
  const before = await readMetrics(metrics)
  const answers: Answer[] = []
  answers.push(...(await askMany(port, () => '/two/m', 60, 12)))
  answers.push(
    ...(await askMany(
      port,
      () => '/two/m',
      20,
      4,
      () => ({ method: 'POST', body: '12345' }),
    )),
  )
  two.behaviour = 404
  answers.push(...(await askMany(port, () => '/two/m', 10, 4)))
  two.behaviour = 200
  answers.push(...(await askMany(port, () => '/closed', 7, 2)))
  answers.push(...(await askMany(port, () => '/none', 5, 2)))
  answers.push(...(await askMany(port, () => '/fixed', 9, 3)))
  const after = await readMetrics(metrics)
  const grown = (name: string, labels: Record<string, string> = {}): number =>
    after.sum(name, labels) - before.sum(name, labels)
  const endpoint = `127.0.0.1:${two.port}`
  const rows: [string, Record<string, string>, number][] = [
    ['sallyport_requests_total', { route: 'two', status: '2xx' }, 80],
    ['sallyport_requests_total', { route: 'two', status: '4xx' }, 10],
    ['sallyport_requests_total', { route: 'closed', status: '5xx' }, 7],
    ['sallyport_requests_total', { route: '(none)', status: '4xx' }, 5],
    ['sallyport_requests_total', { route: 'fixed' }, 9],
    ['sallyport_requests_total', {}, answers.length],
    ['sallyport_request_duration_seconds_count', { route: 'two' }, 90],
    ['sallyport_request_body_bytes_total', { route: 'two' }, 100],
    ['sallyport_response_body_bytes_total', { route: 'two' }, 270],
    ['sallyport_outcomes_total', { outcome: 'ok' }, 90],
    ['sallyport_outcomes_total', { outcome: 'fixed-response' }, 9],
    ['sallyport_refusals_total', { code: 'upstream-connect-failed' }, 7],
    ['sallyport_refusals_total', { code: 'route-not-found' }, 5],
    ['sallyport_refusals_total', {}, 12],
    ['sallyport_upstream_requests_total', { upstream: 'two', endpoint, status: '2xx' }, 80],
    ['sallyport_upstream_requests_total', { upstream: 'two', endpoint, status: '4xx' }, 10],
    [
      'sallyport_upstream_requests_total',
      { upstream: 'closed', endpoint: `127.0.0.1:${closedPort}`, status: 'none' },
      7,
    ],
    ['sallyport_upstream_requests_total', {}, 97],
    ['sallyport_upstream_duration_seconds_count', { upstream: 'two' }, 90],
    ['sallyport_upstream_retries_total', {}, 0],
    ['sallyport_connections_total', { listener: 'public' }, 12 + 4 + 4 + 2 + 2 + 3],
  ]
  for (const [name, labels, value] of rows)
    assert.equal(grown(name, labels), value, `${name} ${JSON.stringify(labels)}`)
  assert.equal(after.value('sallyport_threads'), 2)
  assert.equal(after.value('sallyport_endpoint_requests_open', { upstream: 'two', endpoint }), 0)
  assert.equal(after.value('sallyport_endpoint_healthy', { upstream: 'two', endpoint }), 1)
  assert.ok((after.value('process_resident_memory_bytes') ?? 0) > 1e7)
  assert.ok(after.sum('sallyport_build_info') === 1)
  await eventually('all connections closed', async () =>
    (await readMetrics(metrics)).value('sallyport_connections_open', { listener: 'public' }) === 0 ? true : null,
  )
  assert.equal(rows.length, 21)
})

test('the gauges of an endpoint show what runs there now', async () => {
  two.behaviour = 'hang'
  const calls = Array.from({ length: 3 }, () => ask(port, '/two/open'))
  const labels = { upstream: 'two', endpoint: `127.0.0.1:${two.port}` }
  await eventually('3 open requests', async () =>
    (await readMetrics(metrics)).value('sallyport_endpoint_requests_open', labels) === 3 ? true : null,
  )
  assert.equal((await readMetrics(metrics)).value('sallyport_connections_open', { listener: 'public' }), 3)
  two.behaviour = 200
  two.release()
  await Promise.all(calls)
  assert.equal((await readMetrics(metrics)).value('sallyport_endpoint_requests_open', labels), 0)
})

test('the access log is there within a second, and goes to a new file after SIGUSR1', async () => {
  const log = join(edge.folder, 'access.jsonl')
  const sent = Date.now()
  await ask(port, '/fixed?first')
  await edge.line('the first', ({ query }) => query === 'first')
  assert.ok(Date.now() - sent < 1_000, `${Date.now() - sent} ms`)
  renameSync(log, `${log}.1`)
  await ask(port, '/fixed?moved')
  edge.process.signal('SIGUSR1')
  await eventually('the new file', async () => {
    await ask(port, '/fixed?second')
    return edge.log().length > 0 || null
  })
  await askMany(port, () => '/fixed?third', 40, 8)
  await edge.lines(40, 'the third', ({ query }) => query === 'third')
  const old = readFileSync(`${log}.1`, 'utf8')
  const all = [
    ...old
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as AccessLogLine),
    ...edge.log(),
  ]
  assert.equal(all.filter(({ query }) => query === 'moved').length, 1)
  assert.doesNotMatch(old, /"third"/)
  assert.equal(new Set(all.map(({ id }) => id)).size, all.length)
})

test('a disk that is full does not stop traffic; what was lost is told when it works again', async () => {
  await edge.reload(yaml('/dev/full'))
  const answers = await askMany(port, () => '/two/full', 200, 8)
  assert.ok(answers.every(({ status }) => status === 200))
  await edge.process.errLine(/"access-log-failing"[^\n]*ENOSPC/)
  await edge.reload(yaml())
  await ask(port, '/fixed?after-full')
  await edge.line('after it', ({ query }) => query === 'after-full')
  assert.doesNotMatch(edge.process.err, /thread-died/)
})

test('request ids: the edge makes one for strangers, keeps that of a trusted proxy, and uses it everywhere', async () => {
  const seen = (): Record<string, string> => echo.seen.at(-1)?.headers as Record<string, string>
  const stranger = await ask(port, '/echo/id', { headers: { 'X-Request-Id': 'mine' } })
  const id = String(stranger.headers['x-request-id'])
  assert.match(id, /^[0-9a-z]{20}$/)
  assert.equal(seen()['x-request-id'], id)
  await edge.line('the id', (line) => line.id === id)
  const trusting = edge.port('trusting')
  const rows: [string, boolean][] = [
    ['abc-123.def', true],
    ['a'.repeat(128), true],
    ['a'.repeat(129), false],
    ['with space', false],
    ['"quoted"', false],
  ]
  for (const [given, kept] of rows) {
    const { headers } = await ask(trusting, '/echo/id', { headers: { 'X-Request-Id': given } })
    assert.equal(headers['x-request-id'] === given, kept, given)
    assert.equal(seen()['x-request-id'], headers['x-request-id'], given)
  }
  assert.equal(rows.length, 5)
  const problem = await ask(port, '/none')
  assert.equal(problem.headers['x-request-id'], (JSON.parse(problem.body) as { id: string }).id)
})

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

test('without traces a valid trace context passes unchanged, an invalid one not at all', async () => {
  const good = `00-${TRACE}-${SPAN}-01`
  const rows: [string, string, string | undefined, string | undefined][] = [
    [`traceparent: ${good}\r\ntracestate: a=1,b=2\r\n`, 'valid', good, 'a=1,b=2'],
    [`traceparent: 00-${TRACE}-${SPAN}-00\r\n`, 'not sampled', `00-${TRACE}-${SPAN}-00`, undefined],
    [`traceparent: cc-${TRACE}-${SPAN}-01-later\r\n`, 'a later version', `cc-${TRACE}-${SPAN}-01-later`, undefined],
    [`traceparent: 00-${TRACE.toUpperCase()}-${SPAN}-01\r\ntracestate: a=1\r\n`, 'upper case', undefined, undefined],
    [`traceparent: 00-${'0'.repeat(32)}-${SPAN}-01\r\ntracestate: a=1\r\n`, 'zero trace', undefined, undefined],
    [`traceparent: 00-${TRACE}-${'0'.repeat(16)}-01\r\n`, 'zero span', undefined, undefined],
    [`traceparent: ff-${TRACE}-${SPAN}-01\r\n`, 'version ff', undefined, undefined],
    [`traceparent: ${good}-more\r\n`, 'too long', undefined, undefined],
    [`traceparent: ${good}\r\ntraceparent: ${good}\r\ntracestate: a=1\r\n`, 'twice', undefined, undefined],
    ['tracestate: a=1\r\n', 'state alone', undefined, undefined],
    ['', 'none', undefined, undefined],
  ]
  for (const [lines, what, traceparent, tracestate] of rows) {
    await exchangeBytes(port, `GET /echo/trace HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`)
    const { headers } = echo.seen.at(-1) as { headers: Record<string, string> }
    assert.deepEqual([headers.traceparent, headers.tracestate], [traceparent, tracestate], what)
  }
  assert.equal(rows.length, 11)
})

interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
}

test('with traces each exchange has its spans at the collector, joined to those of caller and endpoint', async () => {
  await edge.reload(yaml('access.jsonl', `http://127.0.0.1:${collectorPort}`))
  await ask(port, '/echo/own')
  const own = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(echo.seen.at(-1)?.headers.traceparent ?? '')
  assert.ok(own !== null)
  await ask(port, '/echo/joined', { headers: { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'a=1' } })
  const joined = echo.seen.at(-1)?.headers as Record<string, string>
  assert.match(joined.traceparent, new RegExp(`^00-${TRACE}-(?!${SPAN})[0-9a-f]{16}-01$`))
  assert.equal(joined.tracestate, 'a=1')
  await ask(port, '/echo/unsampled', { headers: { traceparent: `00-${TRACE}-${SPAN}-00` } })
  assert.equal(echo.seen.at(-1)?.headers.traceparent, `00-${TRACE}-${SPAN}-00`)
  const spans = await eventually('the spans', async () => {
    const all = collected.flatMap((body) => spansOf(body))
    return all.length >= 4 ? all : null
  })
  assert.equal(spans.length, 4)
  const call = spans.find(({ spanId }) => spanId === own[2]) as Span
  const server = spans.find(({ spanId }) => spanId === call.parentSpanId) as Span
  assert.deepEqual([call.traceId, server.traceId, call.kind, server.kind], [own[1], own[1], 3, 2])
  assert.ok(!server.parentSpanId)
  const remote = spans.find((span) => span.traceId === TRACE && span.kind === 2)
  assert.equal(remote?.parentSpanId, SPAN)
})

function spansOf(body: string): Span[] {
  const { resourceSpans } = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
}
