import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRouter } from './router.ts'
import { testExchange, testRoute } from './test-exchange.ts'

/** What a hostile client sends to reach /admin past a route that denies it. */
const ATTACKS = [
  // plain spellings
  ...[
    '/admin',
    '/admin/',
    '/admin/users',
    '/admin/.',
    '/admin/..;/admin',
    '/admin/x/..',
    '/./admin',
    '//admin',
    '///admin//x',
  ],
  ...[
    '/x/../admin',
    '/a/b/c/../../../admin',
    '/admin/../admin',
    '/x//../admin',
    '/.//admin',
    '/../admin',
    '/../../admin',
  ],
  // percent-encoded letters and dots, in both cases of hex
  ...['/%61dmin', '/%61%64%6d%69%6e', '/%61%64%6D%69%6E', '/a%64min/x', '/adm%69n', '/admi%6E', '/admi%6e/'],
  ...[
    '/x/%2e%2e/admin',
    '/x/%2E%2E/admin',
    '/x/.%2e/admin',
    '/x/%2e./admin',
    '/%2e/admin',
    '/%2E/%61dmin',
    '/%2e%2e/admin',
  ],
  // encoded twice, three and four times
  ...[
    '/%2561dmin',
    '/%252561dmin',
    '/%25252561dmin',
    '/%2561%2564%256d%2569%256e',
    '/%25%36%31dmin',
    '/%25%2536%2531dmin',
  ],
  ...['/x/%252e%252e/admin', '/x/%25252e%25252e/admin', '/x/.%252e/admin', '/x/%252E%252e/%2561dmin', '/%252e/admin'],
  ...['/%25%32%35%36%31dmin', '/%252525252561dmin', '/admin%252Fx', '/admin%25252fx'],
  // encoded slashes and backslashes, once and more
  ...[
    '/%2fadmin',
    '/%2Fadmin',
    '/admin%2f',
    '/admin%2Fusers',
    '/x%2f..%2fadmin',
    '/x/..%2fadmin',
    '/x/..%2Fadmin%2Fusers',
  ],
  ...[
    '/x%2f%2e%2e%2fadmin',
    '/%252fadmin',
    '/x/..%252fadmin',
    '/x/..%252Fadmin',
    '/x/..%25252fadmin',
    '/.%2fadmin',
    '/%2e%2fadmin',
  ],
  ...[
    '/\\admin',
    '/x/..\\admin',
    '/x\\..\\admin',
    '/admin\\x',
    '/%5cadmin',
    '/%5Cadmin',
    '/x/..%5cadmin',
    '/x%5c..%5cadmin',
  ],
  ...['/x/..%5Cadmin', '/admin%5cx', '/%255cadmin', '/x/..%255cadmin', '/x%5C..%2Fadmin', '/%2f%5cadmin', '/.%5Cadmin'],
  // parameters
  ...[
    '/admin;',
    '/admin;a=b',
    '/admin;a=b/users',
    '/admin;/users',
    '/;/admin',
    '/;a=b/admin',
    '/x/..;/admin',
    '/x/..;a=b/admin',
  ],
  ...[
    '/.;/admin',
    '/admin%3b',
    '/admin%3Ba=b',
    '/x/..%3b/admin',
    '/x/..%3B/admin',
    '/admin%253bx',
    '/x/..%253b/admin',
    '/%3b/admin',
  ],
  ...[
    '/admin;%2fx',
    '/admin;x%2f..%2f',
    '/;%2fadmin',
    '/%61dmin;x',
    '/%2561dmin;x',
    '/x/%2e%2e;/admin',
    '/x/%252e%252e;/admin',
  ],
  // control characters, also behind a second encoding
  ...[
    '/admin%00',
    '/admin%00/x',
    '/admin%00.jpg',
    '/x/..%00/admin',
    '/%00/admin',
    '/admin%2500',
    '/admin%2500.jpg',
    '/admin%0a',
  ],
  ...['/admin%0d%0ax', '/admin%09', '/admin%250a', '/admin\x00', '/admin%7f', '/admin%1f', '/%00admin', '/%2500admin'],
  // overlong and impossible UTF-8
  ...[
    '/%c0%afadmin',
    '/x/..%c0%afadmin',
    '/x/%c0%ae%c0%ae/admin',
    '/x/%c0%2e%c0%2e/admin',
    '/%e0%80%afadmin',
    '/%f0%80%80%afadmin',
  ],
  ...[
    '/x/..%c1%9cadmin',
    '/%c1%a1dmin',
    '/%e0%81%a1dmin',
    '/x/%e0%80%ae%e0%80%ae/admin',
    '/\xc0\xafadmin',
    '/%25c0%25afadmin',
  ],
  ...['/%f8%80%80%80%afadmin', '/x/%25c0%25ae%25c0%25ae/admin', '/%u002fadmin', '/%u0061dmin', '/x/%uff0e%uff0e/admin'],
  // fragments, queries, and their encoded forms
  ...[
    '/admin#',
    '/admin#x',
    '/admin?x',
    '/x#/../admin',
    '/admin%3f',
    '/admin%3Fx=y',
    '/admin%23',
    '/admin%23/x',
    '/admin%253fx',
  ],
  // broken encodings
  ...['/%61dmin%', '/admin%zz', '/admin/%zz', '/%xadmin', '/%6/1dmin', '/%%61dmin', '/x/%2/admin'],
  // other forms of the target
  ...[
    'http://a.test/admin',
    'http://a.test//admin',
    'http://a.test/%61dmin',
    'HTTP://a.test/x/../admin',
    'http://b.test/admin;x',
  ],
  ...['http://a.test/x/..%2fadmin', 'http://a.test\\admin', 'http:/admin', 'admin', '\\admin', '%2fadmin', './admin'],
]

test('no spelling of a denied path is forwarded by a route that allows the rest', () => {
  const matcher = compileRouter([testRoute('deny', '/admin/*'), testRoute('all', '/*')])
  let ran = 0
  let forwarded = 0
  for (const target of ATTACKS) {
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      const exchange = testExchange(target, method)
      const code = matcher.match(exchange)
      assert.equal(code, null, target)
      const passes = exchange.route?.name === 'all' && exchange.pathRefusal === null
      if (passes) forwarded++
      assert.equal(passes && reaches(exchange.path), false, `${target} is forwarded as ${exchange.path}`)
    }
    ran++
  }
  assert.equal(ran, 158, 'attacks')
  assert.equal(forwarded, 0, 'attacks forwarded elsewhere')
})

test('harmless paths pass beside the denied one', () => {
  const matcher = compileRouter([testRoute('deny', '/admin/*'), testRoute('all', '/*')])
  const harmless = [
    ...[
      '/',
      '/x',
      '/administrator',
      '/x/admin',
      '/x/../y',
      '/group%2Fname',
      '/a;b=c',
      '/a%20b%2Bc',
      '/100%25',
      '/a%252Fb',
    ],
    ...[
      '/caf%C3%A9',
      '/https%3A%2F%2Fexample.com%2Fx',
      '/.well-known/x',
      '/a%3Fb',
      '/v1/x;matrix=1/y',
      '/%40scope%2Fpackage',
    ],
  ]
  for (const target of harmless) {
    const exchange = testExchange(target)
    assert.equal(matcher.match(exchange), null, target)
    assert.equal(exchange.route?.name, 'all', target)
    assert.equal(exchange.pathRefusal, null, target)
  }
  assert.equal(harmless.length, 16)
})

/** A second, independent opinion: whether an endpoint that decodes up to four times could see /admin in a path. */
function reaches(path: string): boolean {
  let text = path
  for (let level = 0; level <= 4; level++) {
    for (const cut of [text, text.replace(/\0.*$/s, ''), text.replace(/[?#].*$/s, '')]) {
      for (const slashed of [cut, cut.replaceAll('\\', '/')]) {
        for (const stripped of [slashed, slashed.replace(/;[^/]*/g, '')]) if (leads(stripped)) return true
      }
    }
    text = text.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  }
  return false
}

function leads(path: string): boolean {
  const kept: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') kept.pop()
    else if (part !== '' && part !== '.') kept.push(part)
  }
  return kept[0] === 'admin'
}
