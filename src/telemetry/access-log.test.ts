import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { REASON_CODES } from '../base/errors.ts'
import { ACCESS_LOG_FIELDS, AccessLine } from './access-line.ts'
import { AccessLog } from './access-log.ts'
import { emptyExchange, routeNamed, typicalExchange } from './exchange-fixture.ts'

type Line = Record<string, string | number | null>

function parse(line: string): Line {
  assert.match(line, /^[\x20-\x7e]+\n$/, 'one line of printable ASCII')
  const fields = JSON.parse(line) as Line
  assert.deepEqual(Object.keys(fields), ACCESS_LOG_FIELDS)
  return fields
}

/** Small seeded generator (mulberry32), so that a failure can be repeated. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

test('a proxied exchange shows every field', () => {
  assert.equal(ACCESS_LOG_FIELDS.length, 23)
  assert.deepEqual(parse(new AccessLine().format(typicalExchange(7))), {
    time: '2026-01-01T00:00:00.123Z',
    id: '0123456789abcdefghij',
    client: '203.0.113.7',
    method: 'GET',
    scheme: 'https',
    host: 'api.example.com',
    path: '/orders/7/items',
    query: 'page=2&size=50',
    status: 200,
    outcome: 'ok',
    route: 'orders',
    upstream: 'orders',
    endpoint: '10.0.1.10:8080',
    attempts: 1,
    durationMs: 13.875,
    upstreamMs: 12.5,
    bytesIn: 0,
    bytesOut: 207,
    key: null,
    plan: null,
    protocol: 'HTTP/1.1',
    tls: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', clientCertificate: null },
    waf: null,
  })
})

test('a refused exchange has null where nothing is known', () => {
  const exchange = emptyExchange('http')
  exchange.outcome = 'request-line-invalid'
  exchange.status = 400
  exchange.request.minor = 0
  const line = parse(new AccessLine().format(exchange))
  const known = Object.entries(line).filter(([, value]) => value !== null)
  assert.deepEqual(Object.fromEntries(known), {
    time: '2026-01-01T00:00:00.123Z',
    id: '0123456789abcdefghij',
    client: '203.0.113.8',
    scheme: 'http',
    status: 400,
    outcome: 'request-line-invalid',
    attempts: 0,
    durationMs: 0,
    bytesIn: 0,
    bytesOut: 0,
    protocol: 'HTTP/1.0',
  })
})

test('a target that has no normal form is shown as it was received', () => {
  const exchange = emptyExchange()
  exchange.request.target = '/a%2f..%2fb?x=\xe9'
  const line = parse(new AccessLine().format(exchange))
  assert.equal(line.path, '/a%2f..%2fb')
  assert.equal(line.query, 'x=\xe9')
})

test('no query is null and an empty one is empty', () => {
  const exchange = typicalExchange()
  exchange.query = ''
  assert.equal(parse(new AccessLine().format(exchange)).query, '')
  exchange.hasQuery = false
  assert.equal(parse(new AccessLine().format(exchange)).query, null)
})

test('a connection of a TCP listener has the same fields', () => {
  const line = parse(
    new AccessLine().formatConnection({
      id: '0123456789abcdefghij',
      startedMs: 1767225600000,
      client: '198.51.100.9',
      outcome: 'ok',
      upstream: 'edges',
      endpoint: '10.0.0.5:8443',
      attempts: 2,
      durationMs: 60000.5,
      upstreamMs: 1.25,
      bytesIn: 5_000_000_000,
      bytesOut: 7,
    }),
  )
  assert.equal(line.protocol, 'TCP')
  assert.equal(line.bytesIn, 5_000_000_000)
  assert.equal(line.durationMs, 60000.5)
  assert.equal(line.method, null)
  assert.equal(line.status, null)
})

test('hostile bytes in what a peer sends break no line, and the short way writes what the long one does', () => {
  const random = randomOf(20260101)
  const text = (limit: number): string => {
    let out = ''
    const range = random() < 0.5 ? 256 : random() < 0.9 ? 0x7f : 0x10000
    for (let n = Math.floor(random() * limit); n > 0; n--) out += String.fromCharCode(Math.floor(random() * range))
    return out
  }
  const maybe = (limit: number): string | null => (random() < 0.5 ? null : text(limit))
  const number = (): number =>
    [0, 1, 0.0004, 1.5, 12345.6789, -1, Number.NaN, 2 ** 53, 1e300][Math.floor(random() * 9)]!
  const line = new AccessLine()
  let short = 0
  const runs = 20_000
  for (let i = 0; i < runs; i++) {
    const exchange = typicalExchange(i)
    if (random() < 0.3) exchange.request.method = text(10)
    if (random() < 0.5) exchange.path = text(60)
    if (random() < 0.5) exchange.query = text(60)
    if (random() < 0.3) exchange.host = text(30)
    if (random() < 0.2) exchange.client = text(20)
    if (random() < 0.2) exchange.request.target = text(80)
    if (random() < 0.2) exchange.hasQuery = false
    if (random() < 0.2) exchange.route = random() < 0.5 ? null : routeNamed(text(10), '/')
    if (random() < 0.2) exchange.endpoint = maybe(20)
    if (random() < 0.2) exchange.upstream = maybe(10)
    if (random() < 0.2) exchange.key = maybe(20)
    if (random() < 0.2) exchange.plan = maybe(20)
    if (random() < 0.2) exchange.waf = maybe(20)
    if (random() < 0.2) exchange.outcome = REASON_CODES[i % REASON_CODES.length] ?? 'ok'
    if (random() < 0.2) exchange.attempts = number()
    if (random() < 0.2) exchange.status = [0, 99, 200, 999, 1000][i % 5]!
    if (random() < 0.3) exchange.durationMs = number()
    if (random() < 0.3) exchange.upstreamMs = random() < 0.5 ? null : number()
    if (random() < 0.3) exchange.bytesIn = number()
    if (random() < 0.3) exchange.bytesOut = number()
    if (random() < 0.2) exchange.startedMs = number()
    const written = line.format(exchange)
    const fields = parse(written)
    assert.equal(written, new AccessLine().formatAny(exchange))
    if (exchange.path !== '') assert.equal(fields.path, exchange.path)
    if (exchange.host !== '') assert.equal(fields.host, exchange.host)
    if (exchange.outcome === 'ok') short++
  }
  assert.ok(short > runs / 2)
})

test('routes and upstreams that share endpoints are not mixed up', () => {
  const line = new AccessLine()
  let ran = 0
  for (let turn = 0; turn < 3; turn++) {
    for (const route of ['a', 'b']) {
      for (const upstream of ['x', 'y']) {
        for (const endpoint of ['h:1', 'h:2']) {
          const exchange = typicalExchange()
          exchange.route = routeNamed(route, '/')
          exchange.upstream = upstream
          exchange.endpoint = endpoint
          const fields = parse(line.format(exchange))
          assert.deepEqual([fields.route, fields.upstream, fields.endpoint], [route, upstream, endpoint])
          ran++
        }
      }
    }
  }
  assert.equal(ran, 24)
})

test('lines come to the file in the order of their exchanges, after close at the latest', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'access-log-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'access.jsonl')
  const fail = (error: Error): void => assert.fail(error)
  const log = new AccessLog({ path, turn: null, onDropped: () => assert.fail(), onProblem: fail, now: Date.now })
  for (let n = 0; n < 3000; n++) log.write(typicalExchange(n))
  await log.close()
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  assert.equal(lines.length, 3000)
  for (const [n, line] of lines.entries()) assert.equal(parse(`${line}\n`).path, `/orders/${n}/items`)
})

test('the line about lost lines cannot be taken for an exchange', () => {
  const text = new AccessLine().formatLoss(12, 1767225600000)
  assert.deepEqual(JSON.parse(text), { time: '2026-01-01T00:00:00.000Z', event: 'log-lines-dropped', lines: 12 })
})
