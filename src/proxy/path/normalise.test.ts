import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testExchange } from '../router/test-exchange.ts'
import { normalisePath } from './normalise.ts'

/** Paths that stay as they are. */
const KEPT = [
  ...[
    '/',
    '/a',
    '/a/',
    '/a/b/c',
    '/A/b/C',
    '/.well-known/acme',
    '/...',
    '/.../a',
    '/..a',
    '/.a',
    '/a..',
    '/a.',
    '/a/..b/c',
  ],
  ...['/a~b-c_d.e', "/!$&'()*+,;=:@", '/a;b=c', '/a;b/c;d', '/;', '/;a', '/a/;/b', '/@me', '/a:b', '/a,b', '/a=b&c=d'],
  ...['/a%20b%2Bc', '/group%2Fname', '/a%5Cb', '/a%3Bb', '/a%25b', '/a%2525b', '/%252e%252e/a', '/..%2Fa', '/..;/a'],
  ...['/a%3Fb', '/a%23b', '/caf%C3%A9', '/%E2%82%AC', '/%F0%9F%98%80', '/%E0%A0%80', '/%F0%90%80%80', '/%ED%9F%BF'],
  ...[
    '/%E9',
    '/%80',
    '/%BF%BF',
    '/%22%3C%3E',
    '/%5B%5D%5E%60%7B%7C%7D',
    '/%40',
    '/%3A',
    '/%21%24%26%27%28%29%2A%2C%3D',
  ],
  ...[
    '/%F4%8F%BF%BF',
    '/%C2%A0',
    '/%25',
    '/%25zz',
    '/a%2F',
    '/%2F',
    '/%2F%2F',
    '/a/b;c=d/e',
    '/0123456789',
    '/a%25%2F',
  ],
]

/** Paths whose normal form differs. */
const CHANGED: readonly (readonly [string, string])[] = [
  // dot segments (RFC 3986 5.2.4)
  ...([
    ['/.', '/'],
    ['/./', '/'],
    ['/a/.', '/a/'],
    ['/a/./', '/a/'],
    ['/a/./b', '/a/b'],
    ['/./a', '/a'],
    ['/a/..', '/'],
  ] as const),
  ...([
    ['/a/../', '/'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/../', '/a/'],
    ['/a/b/../c', '/a/c'],
  ] as const),
  ...([
    ['/a/b/../../c', '/c'],
    ['/a/./b/../c', '/a/c'],
    ['/a/b/c/./../../g', '/a/g'],
    ['/mid/content=5/../6', '/mid/6'],
  ] as const),
  ...([
    ['/././.', '/'],
    ['/a/././b', '/a/b'],
    ['/a/.../..', '/a/'],
    ['/a/..b/..', '/a/'],
    ['/a/b/./.', '/a/b/'],
  ] as const),
  // dots in percent form
  ...([
    ['/%2e', '/'],
    ['/a/%2e/b', '/a/b'],
    ['/a/%2E%2E/b', '/b'],
    ['/a/.%2e/b', '/b'],
    ['/a/%2e./b', '/b'],
  ] as const),
  ...([
    ['/a/%2e%2e', '/'],
    ['/a/%2e', '/a/'],
    ['/a/%2e%2e%2e', '/a/...'],
    ['/%2ewell', '/.well'],
    ['/a%2e', '/a.'],
  ] as const),
  // slashes
  ...([
    ['//', '/'],
    ['///', '/'],
    ['//a', '/a'],
    ['/a//b', '/a/b'],
    ['/a///b//c', '/a/b/c'],
    ['/a//', '/a/'],
  ] as const),
  ...([
    ['//a//', '/a/'],
    ['/a//.//b', '/a/b'],
    ['/a//../b', '/b'],
    ['//./a', '/a'],
    ['/a/.//', '/a/'],
  ] as const),
  // unreserved characters decoded
  ...([
    ['/%61', '/a'],
    ['/%41%42', '/AB'],
    ['/%7Euser', '/~user'],
    ['/%7euser', '/~user'],
    ['/%2D%5F', '/-_'],
  ] as const),
  ...([
    ['/%30%39', '/09'],
    ['/%61dmin', '/admin'],
    ['/%61%64%6d%69%6e', '/admin'],
    ['/%61%64%6D%69%6E', '/admin'],
  ] as const),
  ...([
    ['/a%20%61', '/a%20a'],
    ['/%25%61', '/%25a'],
    ['/%2561', '/%2561'],
    ['/%25%36%31', '/%2561'],
  ] as const),
  // hex in upper case
  ...([
    ['/a%2fb', '/a%2Fb'],
    ['/a%5cb', '/a%5Cb'],
    ['/a%3bb', '/a%3Bb'],
    ['/%c3%a9', '/%C3%A9'],
    ['/a%2bb', '/a%2Bb'],
  ] as const),
  ...([
    ['/%e2%82%ac', '/%E2%82%AC'],
    ['/%f0%9f%98%80', '/%F0%9F%98%80'],
    ['/%3f', '/%3F'],
    ['/%e9', '/%E9'],
  ] as const),
  // what RFC 3986 has no place for in a path
  ...([
    ['/a"b', '/a%22b'],
    ['/<b>', '/%3Cb%3E'],
    ['/a[0]', '/a%5B0%5D'],
    ['/a^b', '/a%5Eb'],
    ['/`', '/%60'],
  ] as const),
  ...([
    ['/{id}', '/%7Bid%7D'],
    ['/a|b', '/a%7Cb'],
    ['/caf\xc3\xa9', '/caf%C3%A9'],
    ['/\xe2\x82\xac', '/%E2%82%AC'],
  ] as const),
  ...([
    ['/\xe9', '/%E9'],
    ['/\xe9a', '/%E9a'],
    ['/\x80', '/%80'],
    ['/\xc3%a9', '/%C3%A9'],
    ['/\xf0\x9f\x98\x80', '/%F0%9F%98%80'],
  ] as const),
  // several at once
  ...([
    ['/A/%2e%2E//%62/./%7e', '/b/~'],
    ['//%2e//a%2Fb', '/a%2Fb'],
    ['/x/%2e%2e/admin', '/admin'],
    ['/%2e/%2e/x', '/x'],
  ] as const),
]

/** Refused paths, with the path that the route's policies see. */
const REFUSED: readonly (readonly [string, string])[] = [
  // broken percent-encoding
  ...([
    ['/%', '/%25'],
    ['/%a', '/%25a'],
    ['/%zz', '/%25zz'],
    ['/%1g', '/%251g'],
    ['/a%', '/a%25'],
    ['/%%', '/%25%25'],
  ] as const),
  ...([
    ['/%%61', '/%25a'],
    ['/%u002e', '/%25u002e'],
    ['/%-1', '/%25-1'],
    ['/%2', '/%252'],
    ['/%2/e', '/%252/e'],
    ['/%G0', '/%25G0'],
  ] as const),
  ...([
    ['/%+1', '/%25+1'],
    ['/%0x', '/%250x'],
    ['/a/%zz/../b', '/a/b'],
  ] as const),
  // control characters
  ...([
    ['/%00', '/%00'],
    ['/admin%00', '/admin%00'],
    ['/%0d%0a', '/%0D%0A'],
    ['/%09', '/%09'],
    ['/%1f', '/%1F'],
  ] as const),
  ...([
    ['/%7f', '/%7F'],
    ['/%0A/../x', '/x'],
    ['/a%00/b', '/a%00/b'],
    ['/%1B', '/%1B'],
    ['/\x00', '/%00'],
    ['/\x7f', '/%7F'],
  ] as const),
  // fragment and backslash
  ...([
    ['/#', '/%23'],
    ['/a#b', '/a%23b'],
    ['/\\', '/%5C'],
    ['/a\\b', '/a%5Cb'],
    ['/x/..\\admin', '/x/..%5Cadmin'],
  ] as const),
  // overlong and impossible UTF-8
  ...([
    ['/%c0%af', '/%C0%AF'],
    ['/%c0%ae%c0%ae/a', '/%C0%AE%C0%AE/a'],
    ['/%c1%9c', '/%C1%9C'],
    ['/%C0', '/%C0'],
  ] as const),
  ...([
    ['/%e0%80%af', '/%E0%80%AF'],
    ['/%e0%9f%bf', '/%E0%9F%BF'],
    ['/%f0%80%80%af', '/%F0%80%80%AF'],
  ] as const),
  ...([
    ['/%f0%8f%bf%bf', '/%F0%8F%BF%BF'],
    ['/%f5%80', '/%F5%80'],
    ['/%ff', '/%FF'],
    ['/%fe', '/%FE'],
    ['/%f8%80', '/%F8%80'],
  ] as const),
  ...([
    ['/\xc0\xaf', '/%C0%AF'],
    ['/\xc0%af', '/%C0%AF'],
    ['/\xe0\x80\xaf', '/%E0%80%AF'],
    ['/%fc', '/%FC'],
  ] as const),
  // above the root
  ...([
    ['/..', '/'],
    ['/../', '/'],
    ['/../a', '/a'],
    ['/a/../..', '/'],
    ['/a/../../b', '/b'],
    ['/%2e%2e/a', '/a'],
  ] as const),
  ...([
    ['//..', '/'],
    ['/./../a', '/a'],
    ['/..//a', '/a'],
    ['/a/b/../../../c', '/c'],
  ] as const),
]

test('a path has one normal form, and refused paths have one for their policies', () => {
  let ran = 0
  for (const path of KEPT) {
    assert.deepEqual(normalisePath(path), { path, refusal: null }, path)
    ran++
  }
  for (const [raw, path] of CHANGED) {
    assert.deepEqual(normalisePath(raw), { path, refusal: null }, raw)
    assert.deepEqual(normalisePath(path), { path, refusal: null }, `again: ${path}`)
    ran++
  }
  for (const [raw, path] of REFUSED) {
    assert.deepEqual(normalisePath(raw), { path, refusal: 'path-invalid' }, raw)
    ran++
  }
  assert.equal(ran, 198, 'path cases')
})

test('the fast pass over a request target agrees with the normal form', () => {
  for (const raw of [...KEPT, ...[...CHANGED, ...REFUSED].map(([path]) => path)]) {
    for (const [query, tail] of [
      ['', ''],
      ['', '?'],
      ['a=%2e%2e%2f&b=//x', '?a=%2e%2e%2f&b=//x'],
      ['?', '??'],
    ] as const) {
      const exchange = testExchange(raw + tail)
      const normal = normalisePath(raw)
      assert.equal(exchange.path, normal.path, raw)
      assert.equal(exchange.pathRefusal, normal.refusal, raw)
      assert.equal(exchange.query, query)
      assert.equal(exchange.hasQuery, tail !== '')
    }
  }
})

test('a query is kept byte for byte', () => {
  for (const query of ['a=%2e%2e%2f&b=//x', '', '?', 'a=%zz', '\xff', '%00', '/../', 'a[]="<>"', ';', '\\']) {
    const exchange = testExchange(`/a/./b?${query}`)
    assert.equal(exchange.query, query)
    assert.equal(exchange.path, '/a/b')
    assert.equal(exchange.pathRefusal, null)
  }
})

test('a fragment in a query is refused', () => {
  assert.equal(testExchange('/a?b#c').pathRefusal, 'path-invalid')
})

test('targets in other forms are read (RFC 9112 3.2)', () => {
  const cases: readonly (readonly [string, string, string, string, boolean, string | null])[] = [
    ['GET', 'http://a.test/x/../y?q', '/y', 'q', true, null],
    ['GET', 'HTTP://a.test/x', '/x', '', false, null],
    ['GET', 'https://a.test:8443/x', '/x', '', false, null],
    ['GET', 'http://a.test', '/', '', false, null],
    ['GET', 'http://a.test?q', '/', 'q', true, null],
    ['GET', 'http://a.test//admin', '/admin', '', false, null],
    ['OPTIONS', '*', '*', '', false, null],
    ['OPTIONS', 'http://a.test', '*', '', false, null],
    ['OPTIONS', 'http://a.test/', '/', '', false, null],
    ['GET', '*', '/*', '', false, 'path-invalid'],
    ['OPTIONS', '*?a', '/*', 'a', true, 'path-invalid'],
    ['OPTIONS', '*a', '/*a', '', false, 'path-invalid'],
    ['GET', 'a.test/x', '/a.test/x', '', false, 'path-invalid'],
    ['GET', '?x', '/', 'x', true, 'path-invalid'],
    ['GET', 'ftp://a.test/x', '/ftp:/a.test/x', '', false, 'path-invalid'],
    ['GET', 'http:/a.test/x', '/http:/a.test/x', '', false, 'path-invalid'],
    ['GET', 'http://a.test#x', '/%23x', '', false, 'path-invalid'],
    ['GET', '\\admin', '/%5Cadmin', '', false, 'path-invalid'],
    ['GET', 'http://a.test\\admin', '/', '', false, 'path-invalid'],
    ['GET', 'a.test:443', '/a.test:443', '', false, 'path-invalid'],
  ]
  for (const [method, target, path, query, hasQuery, refusal] of cases) {
    const exchange = testExchange(target, method)
    assert.deepEqual(
      [exchange.path, exchange.query, exchange.hasQuery, exchange.pathRefusal],
      [path, query, hasQuery, refusal],
      `${method} ${target}`,
    )
  }
  assert.equal(cases.length, 20, 'target cases')
})

test('a path longer than any before it is read whole', () => {
  const long = `/${'a'.repeat(100_000)}`
  assert.equal(testExchange(`${long}/./b?c`).path, `${long}/b`)
})
