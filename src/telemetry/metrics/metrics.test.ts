import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { OUTCOMES } from '../../core/outcome.ts'
import { emptyExchange, typicalExchange } from '../exchange-fixture.ts'
import { MetricBook } from './book.ts'
import { CELL_READERS } from './cell-values.ts'
import { metricsPage } from './docs.ts'
import { Exposition } from './exposition.ts'
import { computeLayout, type MetricNames, mergeNames, NO_NAMES } from './layout.ts'
import { Recorder } from './recorder.ts'
import { MetricsServer } from './server.ts'
import { METRIC_NAMES, METRICS } from './table.ts'

const NAMES: MetricNames = {
  listeners: ['public', 'balancer'],
  routes: ['orders', 'admin'],
  upstreams: ['orders', 'edges'],
  endpoints: [
    { upstream: 'orders', endpoint: '10.0.1.10:8080' },
    { upstream: 'edges', endpoint: '10.0.1.10:8080' },
  ],
}

const MORE: MetricNames = {
  listeners: ['inner'],
  routes: ['assets', 'orders'],
  upstreams: ['s3', 'orders'],
  endpoints: [{ upstream: 's3', endpoint: 's3.test:443' }],
}

function createBook(names: MetricNames = NAMES): MetricBook {
  const book = new MetricBook()
  book.setNames(names)
  return book
}

/** Values of a page by name and labels as written. */
async function scrape(book: MetricBook): Promise<Map<string, number>> {
  const text = await new Exposition(book, { version: '1.2.3' }).text()
  const values = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const space = line.lastIndexOf(' ')
    assert.equal(values.has(line.slice(0, space)), false, `${line} comes twice`)
    values.set(line.slice(0, space), Number(line.slice(space + 1)))
  }
  return values
}

test('an exchange is counted by route, status, outcome, duration, upstream and bytes', async () => {
  const book = createBook()
  const recorder = new Recorder(book.grant(1))
  const exchange = typicalExchange()
  exchange.durationMs = 13.875
  exchange.upstreamMs = 0.5
  exchange.attempts = 3
  exchange.bytesIn = 7
  exchange.bytesOut = 200
  recorder.exchangeEnded(exchange, recorder.routeNumber('orders'), recorder.upstreamNumber('orders'))
  const page = await scrape(book)
  assert.equal(page.get('sallyport_requests_total{route="orders",status="2xx"}'), 1)
  assert.equal(page.get('sallyport_requests_total{route="orders",status="5xx"}'), 0)
  assert.equal(page.get('sallyport_request_duration_seconds_bucket{route="orders",le="0.01"}'), 0)
  assert.equal(page.get('sallyport_request_duration_seconds_bucket{route="orders",le="0.025"}'), 1)
  assert.equal(page.get('sallyport_request_duration_seconds_bucket{route="orders",le="+Inf"}'), 1)
  assert.equal(page.get('sallyport_request_duration_seconds_sum{route="orders"}'), 0.013875)
  assert.equal(page.get('sallyport_request_duration_seconds_count{route="orders"}'), 1)
  assert.equal(page.get('sallyport_upstream_duration_seconds_bucket{upstream="orders",le="0.0005"}'), 1)
  assert.equal(page.get('sallyport_upstream_retries_total{upstream="orders"}'), 2)
  assert.equal(page.get('sallyport_request_body_bytes_total{route="orders"}'), 7)
  assert.equal(page.get('sallyport_response_body_bytes_total{route="orders"}'), 200)
  assert.equal(page.get('sallyport_outcomes_total{outcome="ok"}'), 1)
  assert.equal([...page.keys()].filter((key) => key.includes('route="admin"')).length, 0, 'unused routes are left out')
})

test('refusals are counted by their code, of requests and of connections', async () => {
  const book = createBook()
  const recorder = new Recorder(book.grant(1))
  const refused = emptyExchange()
  refused.outcome = 'header-invalid'
  refused.status = 400
  recorder.exchangeEnded(refused, -1, -1)
  recorder.connectionRefused('header-invalid')
  recorder.connectionRefused('proxy-protocol-invalid')
  const redirect = emptyExchange()
  redirect.outcome = 'redirect'
  redirect.status = 308
  recorder.exchangeEnded(redirect, recorder.routeNumber('admin'), -1)
  const page = await scrape(book)
  assert.equal(page.get('sallyport_refusals_total{code="header-invalid"}'), 2)
  assert.equal(page.get('sallyport_refusals_total{code="proxy-protocol-invalid"}'), 1)
  assert.equal(page.get('sallyport_outcomes_total{outcome="header-invalid"}'), 1)
  assert.equal(page.get('sallyport_requests_total{route="(none)",status="4xx"}'), 1)
  assert.equal(page.get('sallyport_outcomes_total{outcome="redirect"}'), 1)
  assert.equal(page.has('sallyport_refusals_total{code="redirect"}'), false)
  const codes = [...page.keys()].filter((key) => key.startsWith('sallyport_refusals_total'))
  assert.equal(codes.length, OUTCOMES.length - 3, 'every refusal is there, at 0 before the first one')
})

test('connections, handshakes, attempts, TCP bytes and losses are counted', async () => {
  const book = createBook()
  const recorder = new Recorder(book.grant(4))
  const listener = recorder.listenerNumber('public')
  for (let i = 0; i < 3; i++) recorder.connectionOpened(listener)
  recorder.connectionClosed(listener)
  recorder.handshakeEnded(listener, true)
  recorder.handshakeEnded(listener, false)
  recorder.attemptEnded(recorder.endpointNumber('edges', '10.0.1.10:8080'), 503)
  recorder.attemptEnded(recorder.endpointNumber('edges', '10.0.1.10:8080'), 0)
  recorder.attemptEnded(recorder.endpointNumber('edges', 'unknown:1'), 200)
  recorder.tcpEnded(recorder.listenerNumber('balancer'), 'upstream-connect-failed', 10, 20)
  recorder.logLinesDropped('audit', 2)
  recorder.spansDropped(5)
  recorder.loopLag(12)
  const page = await scrape(book)
  assert.equal(page.get('sallyport_connections_total{listener="public"}'), 3)
  assert.equal(page.get('sallyport_connections_open{listener="public"}'), 2)
  assert.equal(page.get('sallyport_tls_handshakes_total{listener="public",result="failed"}'), 1)
  assert.equal(
    page.get('sallyport_upstream_requests_total{upstream="edges",endpoint="10.0.1.10:8080",status="5xx"}'),
    1,
  )
  assert.equal(
    page.get('sallyport_upstream_requests_total{upstream="edges",endpoint="10.0.1.10:8080",status="none"}'),
    1,
  )
  assert.equal(
    [...page.keys()].some((key) => key.includes('upstream="orders",endpoint=')),
    false,
  )
  assert.equal(page.get('sallyport_tcp_received_bytes_total{listener="balancer"}'), 10)
  assert.equal(page.get('sallyport_tcp_sent_bytes_total{listener="balancer"}'), 20)
  assert.equal(page.get('sallyport_refusals_total{code="upstream-connect-failed"}'), 1)
  assert.equal(page.get('sallyport_log_lines_dropped_total{log="audit"}'), 2)
  assert.equal(page.get('sallyport_log_lines_dropped_total{log="access"}'), 0)
  assert.equal(page.get('sallyport_trace_spans_dropped_total'), 5)
  assert.equal(page.get('sallyport_thread_loop_lag_seconds{thread="4"}'), 0.012)
  assert.equal(page.get('sallyport_threads'), 1)
})

test('a thread that dies leaves its counters and takes its open connections with it', async () => {
  const book = createBook()
  const first = new Recorder(book.grant(1))
  const second = new Recorder(book.grant(2))
  for (const recorder of [first, second]) {
    recorder.connectionOpened(recorder.listenerNumber('public'))
    recorder.exchangeEnded(typicalExchange(), 0, 0)
  }
  book.threadEnded(1)
  book.threadEnded(1)
  const third = new Recorder(book.grant(1))
  third.exchangeEnded(typicalExchange(), 0, 0)
  const page = await scrape(book)
  assert.equal(page.get('sallyport_requests_total{route="orders",status="2xx"}'), 3)
  assert.equal(page.get('sallyport_connections_total{listener="public"}'), 2)
  assert.equal(page.get('sallyport_connections_open{listener="public"}'), 1)
  assert.equal(page.get('sallyport_threads'), 2)
})

test('a reload with other names keeps every counter, also for what began before and ends after it', async () => {
  const book = createBook()
  const recorder = new Recorder(book.grant(1))
  const orders = recorder.routeNumber('orders')
  const listener = recorder.listenerNumber('public')
  recorder.connectionOpened(listener)
  recorder.exchangeEnded(typicalExchange(), orders, 0)
  recorder.exchangeEnded(emptyExchange(), -1, -1)
  recorder.attemptEnded(recorder.endpointNumber('edges', '10.0.1.10:8080'), 200)
  assert.equal(book.setNames(NAMES), false, 'the same names need no new cells')
  assert.equal(book.setNames(MORE), true)
  const between = await scrape(book)
  assert.equal(between.get('sallyport_requests_total{route="orders",status="2xx"}'), 1, 'before the thread has them')
  recorder.adopt(book.grant(1))
  recorder.exchangeEnded(typicalExchange(), orders, 0)
  recorder.exchangeEnded(emptyExchange(), -1, -1)
  recorder.connectionClosed(listener)
  recorder.exchangeEnded(typicalExchange(), recorder.routeNumber('assets'), recorder.upstreamNumber('s3'))
  recorder.attemptEnded(recorder.endpointNumber('edges', '10.0.1.10:8080'), 200)
  recorder.attemptEnded(recorder.endpointNumber('s3', 's3.test:443'), 200)
  for (const isEnded of [false, true]) {
    if (isEnded) book.threadEnded(1)
    const page = await scrape(book)
    assert.equal(page.get('sallyport_requests_total{route="orders",status="2xx"}'), 2)
    assert.equal(page.get('sallyport_requests_total{route="assets",status="2xx"}'), 1)
    assert.equal(page.get('sallyport_requests_total{route="(none)",status="none"}'), 2)
    assert.equal(page.get('sallyport_connections_open{listener="public"}'), 0)
    assert.equal(page.get('sallyport_upstream_duration_seconds_count{upstream="s3"}'), 1)
    assert.equal(
      page.get('sallyport_upstream_requests_total{upstream="edges",endpoint="10.0.1.10:8080",status="2xx"}'),
      2,
    )
    assert.equal(page.get('sallyport_upstream_requests_total{upstream="s3",endpoint="s3.test:443",status="2xx"}'), 1)
  }
})

test('numbers that were handed out stay valid, whatever names come later', () => {
  const merged = mergeNames(NAMES, MORE)
  assert.deepEqual(merged.routes, ['orders', 'admin', 'assets'])
  assert.deepEqual(merged.listeners, ['public', 'balancer', 'inner'])
  assert.equal(merged.endpoints.length, 3)
  assert.equal(mergeNames(merged, NAMES), merged)
  assert.equal(computeLayout(NO_NAMES).length < computeLayout(NAMES).length, true)
})

test('what another thread counts is read here', async () => {
  const book = createBook()
  const recorderUrl = new URL('./recorder.ts', import.meta.url).href
  const fixtureUrl = new URL('../exchange-fixture.ts', import.meta.url).href
  const code = `const { workerData } = require('node:worker_threads')
    Promise.all([import(workerData.recorderUrl), import(workerData.fixtureUrl)]).then(([{ Recorder }, { typicalExchange }]) => {
      const recorder = new Recorder(workerData.grant)
      for (let i = 0; i < 5000; i++) recorder.exchangeEnded(typicalExchange(), recorder.routeNumber('orders'), 0)
    })`
  const exits = [1, 2].map((thread) => {
    const worker = new Worker(code, { eval: true, workerData: { grant: book.grant(thread), recorderUrl, fixtureUrl } })
    return new Promise((resolve, reject) => worker.once('error', reject).once('exit', resolve))
  })
  assert.deepEqual(await Promise.all(exits), [0, 0])
  assert.equal((await scrape(book)).get('sallyport_requests_total{route="orders",status="2xx"}'), 10_000)
})

test('every metric of the table is on the page with its help and type, and its name follows the rule', async () => {
  const text = await new Exposition(createBook(), { version: '1.2.3' }).text()
  let ran = 0
  for (const name of METRIC_NAMES) {
    const { type, source } = METRICS[name]
    assert.match(name, /^(?:sallyport|process)(?:_[a-z]+)+$/)
    assert.equal(name.endsWith('_total'), type === 'counter', name)
    assert.ok(text.includes(`# TYPE ${name} ${type}\n`) || text.endsWith(`# TYPE ${name} ${type}`), name)
    assert.equal(CELL_READERS.has(name), source === 'cells', name)
    ran++
  }
  assert.equal(ran, 27, 'metrics')
})

test('a route named like an attack on the format stays one label value', async () => {
  const route = 'a"} 1\nevil{x="\\'
  const book = createBook({ ...NAMES, routes: [route] })
  const recorder = new Recorder(book.grant(1))
  recorder.exchangeEnded(typicalExchange(), 0, -1)
  const text = await new Exposition(book, { version: '1.2.3' }).text()
  assert.ok(text.includes(`sallyport_requests_total{route="a\\"} 1\\nevil{x=\\"\\\\",status="2xx"} 1`))
  assert.equal(/^evil/m.test(text), false)
})

test('the reference page is the table', () => {
  const page = readFileSync(new URL('../../../docs/reference/metrics.md', import.meta.url), 'utf8')
  assert.equal(page, metricsPage(), 'run: bin/sallyport docs')
})

function get(port: number, path: string, method = 'GET'): Promise<{ status: number; body: string; type: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, method }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        body += part
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body, type: response.headers['content-type'] ?? '' }),
      )
    })
    call.on('error', reject)
    call.end()
  })
}

test('the server answers GET and HEAD of /metrics and nothing else', async (t) => {
  const exposition = new Exposition(createBook(), { version: '1.2.3' })
  exposition.registerGauge('sallyport_endpoint_healthy', () => [
    { labels: { upstream: 'orders', endpoint: '10.0.1.10:8080' }, value: 1 },
  ])
  const server = await MetricsServer.listen({ host: '127.0.0.1', port: 0 }, exposition)
  t.after(() => server.close())
  const page = await get(server.port, '/metrics')
  assert.equal(page.status, 200)
  assert.equal(page.type, 'text/plain; version=0.0.4; charset=utf-8')
  assert.match(page.body, /^sallyport_endpoint_healthy\{upstream="orders",endpoint="10\.0\.1\.10:8080"\} 1$/m)
  assert.match(page.body, /^sallyport_build_info\{version="1\.2\.3",node="[0-9.]+"\} 1$/m)
  assert.match(page.body, /^process_resident_memory_bytes [1-9]\d+$/m)
  assert.equal((await get(server.port, '/metrics?name=x')).status, 200)
  assert.deepEqual(await get(server.port, '/metrics', 'HEAD'), { ...page, body: '' })
  assert.equal((await get(server.port, '/')).status, 404)
  assert.equal((await get(server.port, '/metrics/x')).status, 404)
  assert.equal((await get(server.port, '/metrics', 'POST')).status, 405)
})

test('a callback that fails gives no half page, and the next scrape works', async (t) => {
  const exposition = new Exposition(createBook(), { version: '1.2.3' })
  let isBroken = true
  exposition.registerGauge('sallyport_upstream_queue_length', () => {
    if (isBroken) throw new Error('broken')
    return []
  })
  const server = await MetricsServer.listen({ host: '127.0.0.1', port: 0 }, exposition)
  t.after(() => server.close())
  assert.equal((await get(server.port, '/metrics')).status, 500)
  isBroken = false
  assert.equal((await get(server.port, '/metrics')).status, 200)
})

test('a scraper that sends an endless head is refused', async (t) => {
  const server = await MetricsServer.listen(
    { host: '127.0.0.1', port: 0 },
    new Exposition(createBook(), { version: '1.2.3' }),
  )
  t.after(() => server.close())
  const socket = connect(server.port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', (part: string) => {
    answer += part
  })
  socket.on('error', () => {})
  socket.write(`GET /metrics HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}`)
  await new Promise((resolve) => socket.once('close', resolve))
  assert.match(answer, /^HTTP\/1\.1 431 /)
})
