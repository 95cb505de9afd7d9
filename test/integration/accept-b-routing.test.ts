/** What routes promise, asked of a running edge from outside. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { ask, askMany, tally } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { echoEndpoint } from '../support/endpoints.ts'
import { exchangeBytes } from '../support/raw-client.ts'

const ending = endOfFile()
let edge: RunningEdge
let port = 0

before(async () => {
  const echo = await echoEndpoint(ending)
  const canary = await echoEndpoint(ending)
  edge = new RunningEdge(ending)
  await edge.start(
    `
listeners: { public: { address: '127.0.0.1:0', trustedProxies: [127.0.0.1/32] } }
upstreams:
  echo: { endpoints: ['${echo.url}'] }
  canary: { endpoints: ['${canary.url}'] }
routes:
  - { name: any-host, path: /hosts/*, respond: { body: any } }
  - { name: exact, host: api.example.com, path: /hosts/*, respond: { body: exact } }
  - { name: wild, host: '*.example.com', path: /hosts/*, respond: { body: wild } }
  - { name: deep-wild, host: '*.eu.example.com', path: /hosts/*, respond: { body: deep-wild } }
  - { name: star, path: /p/*, respond: { body: star } }
  - { name: rest, path: '/p/files/{rest+}', upstream: echo, rewrite: { path: '/store/{rest}' } }
  - { name: one, path: '/p/{id}', upstream: echo, rewrite: { path: '/one/{id}', host: inner.test } }
  - { name: two, path: '/p/{id}/items/{item}', upstream: echo, rewrite: { path: '/x/{item}/of/{id}/end' } }
  - { name: literal, path: /p/fixed, respond: { body: literal } }
  - { name: root, path: /, respond: { body: root } }
  - { name: get-only, path: /m, methods: [GET], respond: { body: got } }
  - { name: put-only, path: /m, methods: [PUT, PATCH], respond: { status: 201, body: put } }
  - { name: options-own, path: /own, methods: [OPTIONS], respond: { status: 204 } }
  - { name: own-post, path: /own, methods: [POST], respond: { body: posted } }
  - { name: plain, path: /cond, respond: { body: plain } }
  - { name: versioned, path: /cond, headers: { X-Version: '2' }, respond: { body: v2 } }
  - { name: queried, path: /cond, query: { mode: 'a b' }, respond: { body: query } }
  - { name: both, path: /cond, headers: { X-Version: '2' }, query: { mode: 'a b' }, respond: { body: both } }
  - { name: inside, path: /from, from: [10.1.0.0/16, '2001:db8::/32'], respond: { body: inside } }
  - { name: only-inside, path: /secret, from: [10.1.0.0/16], respond: { body: secret } }
  - { name: outside, path: /from, respond: { body: outside } }
  - { name: split, path: /split, split: [{ upstream: echo, weight: 9 }, { upstream: canary, weight: 1 }], rewrite: { path: /seen } }
  - { name: split-zero, path: /split-zero, split: [{ upstream: echo, weight: 0 }, { upstream: canary, weight: 1 }] }
  - { name: teapot, path: /teapot, respond: { status: 418, body: '{"tea":true}', headers: { Content-Type: application/json, X-Kind: pot } } }
  - { name: moved, path: '/old/{id}', redirect: { to: 'https://new.test/items/{id}?from={path}', status: 301 } }
  - { name: moved-all, path: /older/*, redirect: { to: 'https://new.test{path}?{query}' } }
  - { name: moved-host, path: /host, redirect: { to: 'https://www.{host}/', status: 302 } }
  - { name: kept, path: /kept/*, upstream: echo }
telemetry: { accessLog: { path: access.jsonl } }
`,
    '--threads',
    '1',
  )
  port = edge.port('public')
})

/** Method, path, headers, status, what the body is or (for echoes) the `METHOD host url` that the endpoint saw. */
type Row = readonly [method: string, path: string, headers: Record<string, string>, status: number, seen: string]

async function check(rows: readonly Row[]): Promise<void> {
  for (const [method, path, headers, status, expected] of rows) {
    const answer = await ask(port, path, { method, headers: { Host: 'a.test', ...headers } })
    let seen = answer.body
    if (seen.startsWith('{"method"')) {
      const request = JSON.parse(seen) as { method: string; url: string; headers: Record<string, string> }
      seen = `${request.method} ${request.headers.host} ${request.url}`
    } else if (answer.headers['content-type'] === 'application/problem+json') {
      seen = method === 'HEAD' ? '' : (JSON.parse(seen) as { code: string }).code
    }
    assert.deepEqual([answer.status, seen], [status, expected], `${method} ${path} ${JSON.stringify(headers)}`)
  }
}

test('the most specific host wins, whatever the order', async () => {
  const rows: Row[] = [
    ['GET', '/hosts/a', {}, 200, 'any'],
    ['GET', '/hosts/a', { Host: 'api.example.com' }, 200, 'exact'],
    ['GET', '/hosts/a', { Host: 'API.Example.COM:8443' }, 200, 'exact'],
    ['GET', '/hosts/a', { Host: 'api.example.com.' }, 200, 'exact'],
    ['GET', '/hosts/a', { Host: 'www.example.com' }, 200, 'wild'],
    ['GET', '/hosts/a', { Host: 'a.b.example.com' }, 200, 'wild'],
    ['GET', '/hosts/a', { Host: 'x.eu.example.com' }, 200, 'deep-wild'],
    ['GET', '/hosts/a', { Host: 'example.com' }, 200, 'any'],
    ['GET', '/hosts/a', { Host: 'notexample.com' }, 200, 'any'],
    ['GET', '/hosts/a', { Host: '127.0.0.1' }, 200, 'any'],
    ['GET', '/hosts/a', { Host: '[::1]:80' }, 200, 'any'],
  ]
  await check(rows)
  assert.equal(rows.length, 11)
})

test('paths match by literal, template, rest and star, and rewrites fill the names in', async () => {
  const rows: Row[] = [
    ['GET', '/', {}, 200, 'root'],
    ['GET', '/nowhere', {}, 404, 'route-not-found'],
    ['GET', '/p/fixed', {}, 200, 'literal'],
    ['GET', '/p/other', {}, 200, 'GET inner.test /one/other'],
    ['GET', '/p/a%20b', {}, 200, 'GET inner.test /one/a%20b'],
    ['GET', '/p/%66ixed', {}, 200, 'literal'],
    ['GET', '/p/x?q=1&r=%2F', {}, 200, 'GET inner.test /one/x?q=1&r=%2F'],
    ['GET', '/p/x?', {}, 200, 'GET inner.test /one/x?'],
    ['GET', '/p/7/items/9', {}, 200, 'GET a.test /x/9/of/7/end'],
    ['GET', '/p/7/items/9/more', {}, 200, 'star'],
    ['GET', '/p/7/items', {}, 200, 'star'],
    ['GET', '/p', {}, 200, 'star'],
    ['GET', '/p/', {}, 200, 'star'],
    ['GET', '/p/files/a', {}, 200, 'GET a.test /store/a'],
    ['GET', '/p/files/a/b/c.txt', {}, 200, 'GET a.test /store/a/b/c.txt'],
    ['GET', '/p/files/', {}, 200, 'star'],
    ['GET', '/kept/a/./b/../c', {}, 200, 'GET a.test /kept/a/c'],
    ['GET', '/P/fixed', {}, 404, 'route-not-found'],
    ['POST', '/kept', { 'Content-Length': '0' }, 200, 'POST a.test /kept'],
    ['PURGE', '/kept/x', {}, 200, 'PURGE a.test /kept/x'],
  ]
  await check(rows)
  assert.equal(rows.length, 20)
})

test('nothing reaches a route by a path that can be read in two ways', async () => {
  const paths = [
    '/kept/..%2f..%2fp',
    '/kept/%2e%2e/secret',
    '/kept//../secret',
    '/kept/..%5csecret',
    '/kept/..;/secret',
    '/kept/%00',
  ]
  for (const path of paths) {
    const { text } = await exchangeBytes(port, `GET ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`)
    assert.doesNotMatch(text, /"url":"[^"]*(\.\.|%2e|%2f|%5c|%00)/i, path)
    assert.match(text, /^HTTP\/1\.1 (400|404|200) /, path)
    assert.doesNotMatch(text, /\r\n\r\nsecret/, path)
  }
  assert.equal(paths.length, 6)
})

test('methods: HEAD where GET is, 405 with Allow elsewhere, a preflight by the method it asks for', async () => {
  const rows: Row[] = [
    ['GET', '/m', {}, 200, 'got'],
    ['HEAD', '/m', {}, 200, ''],
    ['PUT', '/m', {}, 201, 'put'],
    ['PATCH', '/m', {}, 201, 'put'],
    ['DELETE', '/m', {}, 405, 'method-not-allowed'],
    ['POST', '/m', {}, 405, 'method-not-allowed'],
    ['OPTIONS', '/m', {}, 405, 'method-not-allowed'],
    ['OPTIONS', '/m', { Origin: 'https://a.test', 'Access-Control-Request-Method': 'PUT' }, 201, 'put'],
    ['OPTIONS', '/m', { Origin: 'https://a.test', 'Access-Control-Request-Method': 'GET' }, 200, 'got'],
    [
      'OPTIONS',
      '/m',
      { Origin: 'https://a.test', 'Access-Control-Request-Method': 'DELETE' },
      405,
      'method-not-allowed',
    ],
    ['OPTIONS', '/own', {}, 204, ''],
    ['POST', '/own', {}, 200, 'posted'],
    ['HEAD', '/own', {}, 405, ''],
    ['HEAD', '/kept/h', {}, 200, ''],
    ['GET', '/nowhere/m', {}, 404, 'route-not-found'],
  ]
  await check(rows)
  assert.equal(rows.length, 15)
  const { headers } = await ask(port, '/m', { method: 'DELETE' })
  assert.deepEqual(headers.allow?.split(', ').sort(), ['GET', 'HEAD', 'PATCH', 'PUT'])
  const trace = await ask(port, '/kept/x', { method: 'TRACE' })
  assert.equal(trace.status, 501)
})

test('conditions on headers, query and source narrow a route', async () => {
  const rows: Row[] = [
    ['GET', '/cond', {}, 200, 'plain'],
    ['GET', '/cond', { 'X-Version': '2' }, 200, 'v2'],
    ['GET', '/cond', { 'x-version': '3' }, 200, 'plain'],
    ['GET', '/cond?mode=a%20b', {}, 200, 'query'],
    ['GET', '/cond?mode=a+b', {}, 200, 'query'],
    ['GET', '/cond?mode=a', {}, 200, 'plain'],
    ['GET', '/cond?x=1&mode=a%20b', { 'X-Version': '2' }, 200, 'both'],
    ['GET', '/from', {}, 200, 'outside'],
    ['GET', '/from', { 'X-Forwarded-For': '10.1.2.3' }, 200, 'inside'],
    ['GET', '/from', { 'X-Forwarded-For': '10.1.2.3, 10.2.0.1' }, 200, 'outside'],
    ['GET', '/from', { 'X-Forwarded-For': '2001:db8::7' }, 200, 'inside'],
    ['GET', '/secret', {}, 404, 'route-not-found'],
    ['GET', '/secret', { 'X-Forwarded-For': '10.1.2.3' }, 200, 'secret'],
  ]
  await check(rows)
  assert.equal(rows.length, 13)
})

test('fixed answers and redirects are as the file says', async () => {
  const teapot = await ask(port, '/teapot')
  assert.deepEqual(
    [teapot.status, teapot.body, teapot.headers['content-type'], teapot.headers['x-kind']],
    [418, '{"tea":true}', 'application/json', 'pot'],
  )
  assert.equal((await ask(port, '/')).headers['content-type'], 'text/plain; charset=utf-8')
  const rows: [string, Record<string, string>, number, string][] = [
    ['/old/a%20b?x=1', {}, 301, 'https://new.test/items/a%20b?from=/old/a%20b'],
    ['/older/x/y?a=1&b=2', {}, 308, 'https://new.test/older/x/y?a=1&b=2'],
    ['/older', {}, 308, 'https://new.test/older'],
    ['/host', { Host: 'Shop.Test:8080' }, 302, 'https://www.shop.test/'],
  ]
  for (const [path, headers, status, to] of rows) {
    const answer = await ask(port, path, { headers })
    assert.deepEqual([answer.status, answer.headers.location], [status, to], path)
  }
  assert.equal(rows.length, 4)
})

test('a split gives each upstream its share', async () => {
  const answers = await askMany(port, () => '/split', 600, 4)
  assert.ok(answers.every((answer) => answer.status === 200))
  // 540 to 60 expected; the standard deviation is 7.3.
  const lines = await edge.lines(600, 'the split', (line) => line.route === 'split')
  const counts = tally(lines.map((line) => String(line.upstream)))
  assert.ok(counts.canary >= 60 - 37 && counts.canary <= 60 + 37, JSON.stringify(counts))
  const zero = await askMany(port, () => '/split-zero', 10)
  assert.ok(zero.every((answer) => answer.status === 200))
  const all = await edge.lines(10, 'the split with 0', (line) => line.route === 'split-zero')
  assert.deepEqual(tally(all.map((line) => String(line.upstream))), { canary: 10 })
})

test('refusals are problem details that say no more than they should', async () => {
  const { status, headers, body } = await ask(port, '/nowhere?token=secret')
  const problem = JSON.parse(body) as Record<string, unknown>
  assert.equal(headers['content-type'], 'application/problem+json')
  assert.deepEqual(
    [status, problem.status, problem.code, typeof problem.title],
    [404, 404, 'route-not-found', 'string'],
  )
  assert.match(String(problem.id), /^[0-9a-z]{20}$/)
  assert.doesNotMatch(body, /secret|127\.0\.0\.1|\/root|\.ts/)
})
