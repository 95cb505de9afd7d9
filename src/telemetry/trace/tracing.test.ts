import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Exchange } from '../../core/exchange.ts'
import { fieldTableOf } from '../../http/field-table.ts'
import { emptyExchange, typicalExchange } from '../exchange-fixture.ts'
import { createTracing, type TraceSettings } from './create-tracing.ts'
import { RandomIds } from './random-ids.ts'
import { parseTraceparent } from './traceparent.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const GOOD = `00-${TRACE}-${PARENT}-01`
const UNSAMPLED = `00-${TRACE}-${PARENT}-00`

interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: { key: string; value: { stringValue?: string; intValue?: number } }[]
  readonly status: { code: number; message?: string }
}

function withFields(exchange: Exchange, fields: readonly (readonly [string, string])[]): Exchange {
  Object.assign(exchange.request, { fields: fieldTableOf(fields) })
  return exchange
}

/** A collector: takes OTLP/HTTP in JSON, gives the spans it was sent. */
async function createCollector(
  t: TestContext,
  status = 200,
): Promise<{ otlp: string; spans: Span[]; paths: string[] }> {
  const spans: Span[] = []
  const paths: string[] = []
  const server = createServer((request, response) => {
    let body = ''
    paths.push(`${request.method} ${request.url} ${request.headers['content-type']}`)
    request.setEncoding('utf8').on('data', (part: string) => {
      body += part
    })
    request.on('end', () => {
      response.writeHead(status, { 'Content-Type': 'application/json' }).end('{}')
      if (status !== 200) return
      const { resourceSpans } = JSON.parse(body) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }
      for (const resource of resourceSpans) for (const scope of resource.scopeSpans) spans.push(...scope.spans)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { otlp: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, paths }
}

function settingsOf(otlp: string, more: Partial<TraceSettings> = {}): TraceSettings {
  return { otlp, onDropped: (_spans, error) => assert.fail(error), ...more }
}

function attributesOf(span: Span): Record<string, string | number | undefined> {
  return Object.fromEntries(span.attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]))
}

test('without traces a valid context is passed on as it came', async () => {
  const tracing = await createTracing(null)
  const exchange = withFields(typicalExchange(), [
    ['Traceparent', GOOD],
    ['tracestate', 'a=1'],
    ['Tracestate', 'b=2'],
  ])
  tracing.startSpan(exchange)
  assert.equal(exchange.traceparent, GOOD)
  assert.equal(exchange.request.fields.write(4), `Traceparent: ${GOOD}\r\ntracestate: a=1\r\nTracestate: b=2\r\n`)
  tracing.endSpan(exchange)
  await tracing.close()
})

test('an invalid, repeated or missing traceparent takes its tracestate with it', async () => {
  const tracing = await createTracing(null)
  const cases: readonly (readonly (readonly [string, string])[])[] = [
    [
      ['traceparent', 'nonsense'],
      ['tracestate', 'a=1'],
    ],
    [
      ['traceparent', GOOD],
      ['traceparent', GOOD],
      ['tracestate', 'a=1'],
    ],
    [['tracestate', 'a=1']],
    [],
  ]
  for (const fields of cases) {
    const exchange = withFields(typicalExchange(), [['accept', '*/*'], ...fields])
    tracing.startSpan(exchange)
    assert.equal(exchange.traceparent, null)
    assert.equal(exchange.request.fields.write(4), 'accept: */*\r\n')
  }
  assert.equal(cases.length, 4)
})

test('an exchange becomes a server span and a client span that the collector can join', async (t) => {
  const collector = await createCollector(t)
  const tracing = await createTracing(settingsOf(collector.otlp))
  const exchange = withFields(typicalExchange(7), [
    ['traceparent', GOOD],
    ['tracestate', 'a=1'],
  ])
  exchange.authority = 'api.example.com:8443'
  tracing.startSpan(exchange)
  const sent = parseTraceparent(exchange.traceparent ?? '')
  assert.equal(sent?.traceId, TRACE)
  assert.notEqual(sent?.parentId, PARENT)
  assert.equal(exchange.request.fields.write(4), `tracestate: a=1\r\ntraceparent: ${exchange.traceparent}\r\n`)
  exchange.attempts = 2
  exchange.durationMs = 20
  tracing.endSpan(exchange)
  tracing.endSpan(exchange)
  await tracing.close()
  assert.deepEqual(collector.paths, ['POST /v1/traces application/json'])
  assert.equal(collector.spans.length, 2, 'one of each, also when the end is told twice')
  const client = collector.spans.find((span) => span.kind === 3)
  const server = collector.spans.find((span) => span.kind === 2)
  assert.ok(client !== undefined && server !== undefined)
  assert.equal(server.traceId, TRACE)
  assert.equal(client.traceId, TRACE)
  assert.equal(server.parentSpanId, PARENT, 'child of the caller')
  assert.equal(client.parentSpanId, server.spanId)
  assert.equal(client.spanId, sent?.parentId, 'the endpoint saw the client span as its parent')
  assert.equal(server.name, 'GET /orders/{id}/*')
  assert.equal(BigInt(server.endTimeUnixNano) - BigInt(server.startTimeUnixNano), 20_000_000n)
  assert.deepEqual(attributesOf(server), {
    'http.request.method': 'GET',
    'url.scheme': 'https',
    'url.path': '/orders/7/items',
    'url.query': 'page=2&size=50',
    'network.protocol.name': 'http',
    'network.protocol.version': '1.1',
    'network.peer.address': '203.0.113.7',
    'client.address': '203.0.113.7',
    'server.address': 'api.example.com',
    'server.port': 8443,
    'http.route': '/orders/{id}/*',
    'http.response.status_code': 200,
    'sallyport.request.id': exchange.id,
    'sallyport.outcome': 'ok',
    'sallyport.route': 'orders',
    'sallyport.upstream': 'orders',
  })
  assert.deepEqual(attributesOf(client), {
    'http.request.method': 'GET',
    'url.path': '/orders/7/items',
    'server.address': '10.0.1.10',
    'server.port': 8080,
    'http.response.status_code': 200,
    'http.request.resend_count': 1,
  })
  assert.notEqual(server.status.code, 2)
})

test('a failure of the endpoint is an error of both spans, a refusal of the caller is none', async (t) => {
  const collector = await createCollector(t)
  const tracing = await createTracing(settingsOf(collector.otlp))
  const failed = typicalExchange()
  failed.outcome = 'upstream-reset'
  failed.status = 502
  failed.upstreamMs = null
  const refused = emptyExchange()
  refused.request.method = 'BREW\xe9'
  refused.outcome = 'route-not-found'
  refused.status = 404
  for (const exchange of [failed, refused]) {
    tracing.startSpan(exchange)
    tracing.endSpan(exchange)
  }
  await tracing.close()
  const told = collector.spans.map((span) => {
    const attributes = attributesOf(span)
    return [span.name, span.kind, span.status.code, attributes['error.type'], attributes['http.request.method']]
  })
  assert.deepEqual(told, [
    ['GET', 3, 2, 'upstream-reset', 'GET'],
    ['GET /orders/{id}/*', 2, 2, 'upstream-reset', 'GET'],
    ['HTTP', 2, 0, undefined, '_OTHER'],
  ])
})

test('a trace that the caller does not sample is passed on as it came and not recorded', async (t) => {
  const collector = await createCollector(t)
  const tracing = await createTracing(settingsOf(collector.otlp))
  const exchange = withFields(typicalExchange(), [['traceparent', UNSAMPLED]])
  tracing.startSpan(exchange)
  tracing.endSpan(exchange)
  await tracing.close()
  assert.equal(exchange.traceparent, UNSAMPLED)
  assert.deepEqual(collector.spans, [])
})

test('the ratio decides about traces that begin here, and the endpoint is told', async (t) => {
  const collector = await createCollector(t)
  const tracing = await createTracing(settingsOf(collector.otlp, { ratio: 0.25 }))
  let sampled = 0
  for (let i = 0; i < 2000; i++) {
    const exchange = typicalExchange(i)
    tracing.startSpan(exchange)
    tracing.endSpan(exchange)
    const sent = parseTraceparent(exchange.traceparent ?? '')
    assert.ok(sent !== null)
    if (sent.sampled) sampled++
  }
  await tracing.close()
  assert.ok(sampled > 380 && sampled < 620, `${sampled} of 2000 at a ratio of a quarter`)
  assert.equal(collector.spans.length, sampled * 2)
})

test('a collector that is dead costs spans, not time and not memory', async () => {
  // Port 1 of the loopback: refused at once.
  const tracing = await createTracing(
    settingsOf('http://127.0.0.1:1', { onDropped: () => {}, delayMs: 1, exportTimeoutMs: 500 }),
  )
  const began = performance.now()
  for (let i = 0; i < 20_000; i++) {
    const exchange = typicalExchange(i)
    tracing.startSpan(exchange)
    tracing.endSpan(exchange)
    if (i % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(performance.now() - began < 5000)
  const closing = performance.now()
  await tracing.close(300)
  assert.ok(performance.now() - closing < 2000, 'close keeps its deadline')
})

test('a collector that refuses spans is told of', async (t) => {
  const collector = await createCollector(t, 400)
  let dropped = 0
  let message = ''
  const onDropped = (spans: number, error: Error): void => {
    dropped += spans
    message = error.message
  }
  const tracing = await createTracing(settingsOf(`${collector.otlp}/v1/traces`, { onDropped }))
  const exchange = typicalExchange()
  tracing.startSpan(exchange)
  tracing.endSpan(exchange)
  await tracing.close()
  assert.equal(dropped, 2)
  assert.notEqual(message, '')
  assert.deepEqual(collector.paths, ['POST /v1/traces application/json'], 'the path is not doubled')
})

test('ids are random, lower-case hex of their length', () => {
  const ids = new RandomIds()
  const seen = new Set<string>()
  for (let i = 0; i < 5000; i++) {
    const traceId = ids.traceId()
    const spanId = ids.spanId()
    assert.notEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), null)
    seen.add(traceId).add(spanId)
  }
  assert.equal(seen.size, 10_000)
})
