/**
 * Fuzzes the path rules with a seed: `FUZZ_SEED` (default 1) and `FUZZ_ROUNDS` (default 20,000).
 *
 * Holds for every path: nothing throws; the normal form is a fixed point; what is forwarded has no dot segments and no
 * double slashes however often it is decoded, and every way to read it ends at the route that was taken.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { normalisePath } from '../../src/proxy/path/normalise.ts'
import { compileRouter } from '../../src/proxy/router/router.ts'
import { testExchange, testRoute } from '../../src/proxy/router/test-exchange.ts'

const SEED = Number(process.env.FUZZ_SEED ?? 1)
const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 20_000)

/** Pieces that mean something to somebody; a path is a random row of them. */
const PIECES = [
  ...[
    '/',
    '/',
    '/',
    '//',
    '.',
    '..',
    '...',
    '/../',
    '/./',
    '\\',
    ';',
    ';a=b',
    '?',
    '#',
    '%',
    '%%',
    '%2',
    '%zz',
    'admin',
    'a',
    'x',
  ],
  ...[
    '%2e',
    '%2E',
    '%2f',
    '%2F',
    '%5c',
    '%5C',
    '%3b',
    '%3f',
    '%23',
    '%25',
    '%252e',
    '%252f',
    '%255c',
    '%253b',
    '%2525',
    '%25252f',
  ],
  ...[
    '%61',
    '%64min',
    '%2561',
    '%00',
    '%0a',
    '%7f',
    '%2500',
    '%20',
    '%40',
    '%2b',
    '%c3%a9',
    '%c0%af',
    '%e0%80%af',
    '%f5',
    '%25c0%25af',
  ],
  ...[
    '\xc3\xa9',
    '\xe9',
    '\xff',
    '\x01',
    '[',
    '{',
    '"',
    '|',
    '~',
    '%7e',
    '*',
    '+',
    '@',
    ':',
    '%3a',
    '%u002f',
    '%25%32%66',
  ],
]

test('random paths keep every promise of the path rules', () => {
  const matcher = compileRouter([
    testRoute('admin', '/admin/*'),
    testRoute('name', '/x/{name}'),
    testRoute('rest', '/a/{rest+}'),
    testRoute('all', '/*'),
  ])
  const random = seeded(SEED)
  let forwarded = 0
  let withReadings = 0
  for (let round = 0; round < ROUNDS; round++) {
    const target = `/${randomText(random)}`
    const exchange = testExchange(target)
    assert.equal(matcher.match(exchange), null, target)
    assert.equal(exchange.path.charCodeAt(0), 0x2f, target)
    if (exchange.pathRefusal !== null) continue
    forwarded++
    const path = exchange.path
    if (path.includes('%') || path.includes(';')) withReadings++
    assert.deepEqual(normalisePath(path), { path, refusal: null }, `not a fixed point: ${target}`)
    assert.match(path, /^(\/|(\/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})+)+\/?)$/, target)
    for (const reading of readings(path)) {
      assert.ok(
        !/(^|\/)\.\.?(\/|$)/.test(reading),
        `${target} is forwarded as ${path}, which can be read as ${reading}`,
      )
      const routed = naiveRoute(reading)
      assert.equal(routed, exchange.route?.name, `${target} is forwarded as ${path}, which can be read as ${reading}`)
    }
  }
  assert.ok(forwarded > ROUNDS / 50, `${forwarded} of ${ROUNDS} were forwarded`)
  assert.ok(withReadings > ROUNDS / 100, `${withReadings} of ${ROUNDS} had something to read twice`)
})

/** What an endpoint could see: decoded 0 to 3 times, backslashes as slashes or not, parameters kept or not. */
function readings(path: string): Set<string> {
  const found = new Set<string>()
  let text = path
  for (let level = 0; level <= 3; level++) {
    for (const slashed of [text, text.replaceAll('\\', '/')]) {
      found.add(slashed.replace(/\/+/g, '/'))
      if (level > 0 || slashed.includes(';')) found.add(slashed.replace(/;[^/]*/g, '').replace(/\/+/g, '/'))
    }
    text = text.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  }
  return found
}

function naiveRoute(path: string): string {
  if (/^\/admin(\/|$)/.test(path)) return 'admin'
  if (/^\/x\/[^/]+$/.test(path)) return 'name'
  return /^\/a\/[^/]/.test(path) ? 'rest' : 'all'
}

function randomText(random: () => number): string {
  let text = ''
  for (let n = Math.floor(random() * 6); n >= 0; n--) text += PIECES[Math.floor(random() * PIECES.length)]
  return text
}

function seeded(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 8) / 2 ** 24
  }
}
