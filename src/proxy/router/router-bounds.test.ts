import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Route } from '../../core/route.ts'
import { compileRouter } from './router.ts'
import { testExchange, testRoute } from './test-exchange.ts'

test('routes that no request could be meant for are errors when they are loaded', () => {
  const bad = [
    ...[
      '',
      'a',
      '*',
      'a/*',
      '/a//b',
      '//',
      '/a/*/b',
      '/{a+}/b',
      '/{a}/{a}',
      '/a{b}',
      '/{a}b',
      '/{a',
      '/a}',
      '/{}',
      '/{+}',
    ],
    ...[
      '/{a b}',
      '/a*',
      '/**',
      '/a?b',
      '/a#b',
      '/a;b',
      '/a%2Fb',
      '/a%5Cb',
      '/a\\b',
      '/..',
      '/a/.',
      '/%2e',
      '/%zz',
      '/%00',
    ],
    ...['/%2561', '/%3F', '/a%3Bb', '/%C0%AF', '/\n', `/${'a/'.repeat(40)}`],
  ]
  for (const path of bad) {
    assert.throws(
      () => compileRouter([testRoute('bad', path)]),
      { name: 'RangeError', message: /^route "bad": / },
      path,
    )
  }
  for (const host of ['', '*', '*.', 'A.test', 'a.*', '*.*.test', 'a.test.', '*a.test']) {
    assert.throws(() => compileRouter([testRoute('bad', '/', { host })]), { name: 'RangeError' }, host)
  }
  assert.equal(bad.length, 35, 'template cases')
})

test('a look-up through overlapping templates stays bounded', () => {
  // Every prefix of 12 segments exists as text and as a name: 2^12 templates, and none fits.
  const routes: Route[] = []
  for (let mask = 0; mask < 4096; mask++) {
    const path = Array.from({ length: 12 }, (_, i) => ((mask >> i) & 1 ? 'a' : `{n${i}}`)).join('/')
    routes.push(testRoute(`r${mask}`, `/${path}/end`))
  }
  const matcher = compileRouter(routes)
  const start = process.cpuUsage()
  for (let i = 0; i < 20; i++) {
    const exchange = testExchange(`/${'a/'.repeat(12)}nowhere`)
    assert.equal(matcher.match(exchange), 'route-not-found')
  }
  const { user } = process.cpuUsage(start)
  assert.ok(user / 20 < 20_000, `${user / 20} us for 8,191 nodes`)
})

test('hosts that clients make up do not fill the memory', () => {
  const matcher = compileRouter([testRoute('wild', '/', { host: '*.a.test' })])
  for (let i = 0; i < 5000; i++) {
    const exchange = testExchange('/', 'GET', `h${i}.a.test`)
    assert.equal(matcher.match(exchange), null)
  }
})
