import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRewrite } from './rewrite.ts'
import { compileRouter } from './router.ts'
import { testExchange, testRoute } from './test-exchange.ts'

function rewritten(route: string, path: string | null, target: string, method = 'GET'): string {
  const exchange = testExchange(target, method)
  assert.equal(compileRouter([testRoute('r', route)]).match(exchange), null, target)
  return compileRewrite({ path, host: null }, route).write(exchange)
}

test('a rewrite puts the matched values into the new path and keeps the query', () => {
  const cases: readonly (readonly [string, string | null, string, string])[] = [
    ['/orders/{id}', '/v2/orders/{id}', '/orders/7', '/v2/orders/7'],
    ['/orders/{id}', '/v2/orders/{id}', '/orders/7?a=%2e%2e%2f&b=//x', '/v2/orders/7?a=%2e%2e%2f&b=//x'],
    ['/orders/{id}', '/v2/orders/{id}', '/orders/7?', '/v2/orders/7?'],
    ['/orders/{id}', '/v2/orders/{id}', '/orders/a%20b%2bc', '/v2/orders/a%20b%2Bc'],
    ['/orders/{id}', '/v2/orders/{id}', '/orders/%40x', '/v2/orders/%40x'],
    ['/{a}/x/{b}', '/{b}/{a}', '/1/x/2', '/2/1'],
    ['/{a}/x/{b}', '/{b}/{a}/{b}', '/1/x/2', '/2/1/2'],
    ['/{a}/x/{b}', '/{b}-{a}.json', '/1/x/2', '/2-1.json'],
    ['/files/{rest+}', '/{rest}', '/files/a/b/', '/a/b/'],
    ['/files/{rest+}', '/{rest+}', '/files/a', '/a'],
    ['/files/{rest+}', '/x/{rest}/y', '/files/a/b/', '/x/a/b/y'],
    ['/files/{rest+}', '/x/{rest}/y', '/files/a/b', '/x/a/b/y'],
    ['/t/{tenant}/{rest+}', '/{rest}/of/{tenant}', '/t/acme/a/b', '/a/b/of/acme'],
    ['/api/*', '/*', '/api/x/y', '/x/y'],
    ['/api/*', '/*', '/api', '/'],
    ['/api/*', '/*', '/api/', '/'],
    ['/api/*', '/v2/*', '/api', '/v2'],
    ['/api/*', '/v2/*', '/api/', '/v2/'],
    ['/api/*', '/v2/*', '/api/a?b', '/v2/a?b'],
    ['/*', '/v2/*', '/', '/v2/'],
    ['/*', '/v2/*', '/a/b/', '/v2/a/b/'],
    ['/{t}/*', '/*', '/acme/a', '/a'],
    ['/{t}/*', '/x/{t}/*', '/acme/a/b', '/x/acme/a/b'],
    ['/a', '/b', '/a', '/b'],
    ['/a', '/b c/é', '/a', '/b%20c/%C3%A9'],
    ['/a', '/', '/a?x', '/?x'],
    ['/a', null, '/a?x', '/a?x'],
    ['/a%20b', null, '/./a%20b', '/a%20b'],
  ]
  for (const [route, path, target, expected] of cases) assert.equal(rewritten(route, path, target), expected, target)
  assert.equal(cases.length, 28, 'rewrite cases')
})

test('a question about the server is not rewritten', () => {
  assert.equal(rewritten('/*', '/v2/*', '*', 'OPTIONS'), '*')
  assert.equal(rewritten('/*', null, '*', 'OPTIONS'), '*')
})

test('a rewrite that cannot work is an error when it is loaded', () => {
  const bad: readonly (readonly [string, string])[] = [
    ['/a', 'b'],
    ['/a', ''],
    ['/a', '/{id}'],
    ['/{id}', '/{ID}'],
    ['/{id}', '/{path}'],
    ['/a', '/*'],
    ['/a/*', '/*/b'],
    ['/a/*', '/b*'],
    ['/a', '/b?c'],
    ['/a', '/b#c'],
    ['/a', '/../b'],
    ['/a', '/b//c'],
    ['/a', '/b/./c'],
    ['/a', '/%zz'],
    ['/{id}', '/%2{id}'],
    ['/a', '/b\\c'],
    ['/a', '/b\r\nX: y'],
    ['/{id}', '/{id'],
    ['/{id}', '/id}'],
  ]
  for (const [route, path] of bad) {
    assert.throws(() => compileRewrite({ path, host: null }, route), { name: 'RangeError' }, path)
  }
  assert.equal(bad.length, 19, 'bad rewrites')
})
