import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRedirect } from './redirect.ts'
import { compileRouter } from './router.ts'
import { testExchange, testRoute } from './test-exchange.ts'

function located(route: string, to: string, target: string, host = 'a.test'): string {
  const exchange = testExchange(target, 'GET', host)
  compileRouter([testRoute('r', route)]).match(exchange)
  const reply = compileRedirect({ to, status: 308 }, route).reply(exchange)
  assert.equal(reply.code, 'redirect')
  assert.equal(reply.status, 308)
  assert.equal(reply.body, '')
  const line = /^Location: ([\x21-\x7e]+)\r\n$/.exec(reply.headers)
  assert.notEqual(line, null, `one clean field line: ${JSON.stringify(reply.headers)}`)
  return line?.[1] ?? ''
}

test('a redirect names its target with what the route matched', () => {
  const cases: readonly (readonly [string, string, string, string])[] = [
    ['/old/*', 'https://example.com/new', '/old/x?y', 'https://example.com/new'],
    ['/old/*', 'https://example.com/new/*', '/old/x/y?z', 'https://example.com/new/x/y'],
    ['/old/*', 'https://example.com/new/*', '/old', 'https://example.com/new'],
    ['/old/*', 'https://example.com/*', '/old/', 'https://example.com/'],
    ['/old/*', '/new/*', '/old/x', '/new/x'],
    ['/old/*', '/*', '/old', '/'],
    ['/*', 'https://{host}{path}', '/a/b', 'https://a.test/a/b'],
    ['/*', 'https://{host}{path}?{query}', '/a?b=c', 'https://a.test/a?b=c'],
    ['/*', 'https://{host}{path}?{query}', '/a', 'https://a.test/a'],
    ['/*', 'https://{host}{path}?{query}', '/a?', 'https://a.test/a'],
    ['/*', 'https://{host}/{path}', '/a/b', 'https://a.test/a/b'],
    ['/*', 'https://x.test/?from={path}&q={query}', '/a', 'https://x.test/?from=/a&q='],
    ['/*', '{path}/', '/a', '/a/'],
    ['/o/{id}', '/p/{id}#top', '/o/a%2fb', '/p/a%2Fb#top'],
    ['/o/{path+}', '/p/{path}', '/o/a/b', '/p/a/b'],
    ['/o/{a}/{b}', 'http://x.test/{b}/{a}', '/o/1/2', 'http://x.test/2/1'],
    ['/o', '/é b', '/o', '/%C3%A9%20b'],
    ['/o', 'HTTPS://x.test', '/o', 'HTTPS://x.test'],
  ]
  for (const [route, to, target, expected] of cases)
    assert.equal(located(route, to, target), expected, `${to} ${target}`)
  assert.equal(cases.length, 18, 'redirect cases')
})

test('a client cannot end the Location line or lead a redirect to another host', () => {
  const to = 'https://example.com{path}?{query}'
  assert.equal(located('/*', to, '/a?\xe9\x85'), 'https://example.com/a?%E9%85')
  assert.equal(located('/*', to, '/a?b\r\nX: y'), 'https://example.com/a?b%0D%0AX:%20y')
  assert.equal(located('/*', to, '/%0d%0aX:y'), 'https://example.com/%0D%0AX:y')
  assert.equal(located('/*', '{path}', '//evil.test/x'), '/evil.test/x')
  assert.equal(located('/*', '{path}', '/\\evil.test/x'), '/%5Cevil.test/x')
  assert.equal(located('/old/*', '/*', '/old//evil.test'), '/evil.test')
  assert.equal(located('/old/{rest+}', '/{rest}', '/old/https://evil.test'), '/https:/evil.test')
})

test('a redirect whose target a client could choose, or that is no URL, is an error when it is loaded', () => {
  const bad: readonly (readonly [string, string])[] = [
    ['/{id}', '{id}'],
    ['/{id}', 'https://{id}'],
    ['/{id}', 'https://example.com{id}'],
    ['/{id}', 'https://{id}.example.com/'],
    ['/{id}', '//{id}'],
    ['/a', '//evil.test'],
    ['/a', '/{query}'],
    ['/a', 'example.com'],
    ['/a', 'javascript:alert(1)'],
    ['/a', 'ftp://example.com'],
    ['/a', ''],
    ['/a', '/{nope}'],
    ['/a', '/b/*'],
    ['/a', '/{'],
    ['/path/{path}', '{path}'],
  ]
  for (const [route, to] of bad)
    assert.throws(() => compileRedirect({ to, status: 308 }, route), { name: 'RangeError' }, to)
  assert.throws(() => compileRedirect({ to: '/b', status: 200 }, '/a'), { name: 'RangeError' })
  assert.throws(() => compileRedirect({ to: '/b', status: 304 }, '/a'), { name: 'RangeError' })
  assert.equal(bad.length, 15, 'bad redirects')
})
