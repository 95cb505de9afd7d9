import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasReadings, readingsOf, routingKey } from './readings.ts'

/** Normal paths and all that endpoints could see in them; null where the path is refused whatever the routes are. */
const CASES: readonly (readonly [string, readonly string[] | null])[] = [
  // encoded separators: text or separators
  ['/a%2Fb', ['/a%2Fb', '/a/b']],
  ['/a%5Cb', ['/a%5Cb', '/a/b']],
  ['/a%2F', ['/a%2F', '/a/']],
  ['/a%2F%2Fb', ['/a%2F%2Fb', '/a/b']],
  ['/a%2Fb%5Cc', ['/a%2Fb%5Cc', '/a/b%5Cc', '/a%2Fb/c', '/a/b/c']],
  ['/%2Fadmin', ['/%2Fadmin', '/admin']],
  // parameters
  ['/a;b', ['/a;b', '/a']],
  ['/a%3Bb', ['/a;b', '/a']],
  ['/a;b/c;d/e', ['/a;b/c;d/e', '/a/c/e']],
  ['/;a', ['/;a', '/']],
  ['/;a/b', ['/;a/b', '/b']],
  ['/a/;b', ['/a/;b', '/a/']],
  ['/a;b%2Fc/d', ['/a;b%2Fc/d', '/a/d', '/a;b/c/d', '/a/c/d']],
  // decoding twice and more
  ['/%2561dmin', ['/%2561dmin', '/admin']],
  ['/%252561', ['/%252561', '/%2561', '/a']],
  ['/a%252Fb', ['/a%252Fb', '/a%2Fb', '/a/b']],
  ['/100%25', ['/100%25']],
  ['/100%25zz', ['/100%25zz']],
  ['/%25%2532f', ['/%25%2532f', '/%252f', '/%2F', '/']],
  // a decoded ? or # ends the path for an endpoint that reads it again
  ['/a%3Fb', ['/a%3Fb', '/a']],
  ['/a%23b', ['/a%23b', '/a']],
  ['/a%23b%3Fc/d', ['/a%23b%3Fc/d', '/a']],
  ['/a;x%3Fb', ['/a;x%3Fb', '/a']],
  // dot segments in a reading
  ['/a/..%2Fb', null],
  ['/a%2F..', null],
  ['/a%2F.%2Fb', null],
  ['/a%5C..%5Cb', null],
  ['/a/..;/b', null],
  ['/a/..;x=y/b', null],
  ['/a/.;/b', null],
  ['/a/..%3B/b', null],
  ['/%252e%252e/a', null],
  ['/a/%252e', null],
  ['/a%252F%252E%252E', null],
  ['/..%255Ca', null],
  ['/a/..%3Fb', null],
  ['/a/..%23', null],
  // no dot segments
  ['/...%2Fa', ['/...%2Fa', '/.../a']],
  ['/a..%2F.b', ['/a..%2F.b', '/a../.b']],
  // what no path may hold
  ['/a%2500', null],
  ['/a%250d%250a', null],
  ['/a%257F', null],
  ['/%25c0%25af', null],
  ['/%25e0%2580%25af', null],
  ['/%25C3%25A9', ['/%25C3%25A9', '/%C3%A9']],
]

test('the readings of a path are all that endpoints could make of it', () => {
  let ran = 0
  for (const [path, readings] of CASES) {
    assert.equal(hasReadings(path), true, path)
    const found = readingsOf(path)
    assert.deepEqual(found === null ? null : found.toSorted(), readings?.toSorted() ?? null, path)
    ran++
  }
  assert.equal(ran, 45, 'reading cases')
})

test('a path that could be decoded a fourth time is refused', () => {
  assert.notEqual(readingsOf('/%252561'), null)
  assert.equal(readingsOf('/%25252561'), null)
})

test('a path with more readings than can be looked at is refused', () => {
  assert.equal(readingsOf('/a;b%2Fc%5Cd%3Fe'), null)
})

test('a path without reserved encodings has one reading', () => {
  for (const path of ['/', '/a/b', '/a%20b', '/caf%C3%A9', '/%40', '/%22', '/a%2Bb']) {
    assert.equal(hasReadings(path), false, path)
  }
})

test('encodings that mean nothing for the shape of a path are plain in its routing key', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['/a', '/a'],
    ['/%40me', '/@me'],
    ['/a%2Bb%20c', '/a+b%20c'],
    ['/%21%24%26%27%28%29%2A%2C%3A%3D', "/!$&'()*,:="],
    ['/a%2Fb%3Bc%25d', '/a%2Fb%3Bc%25d'],
    ['/%2540', '/%2540'],
    ['/caf%C3%A9', '/caf%C3%A9'],
  ]
  for (const [path, key] of cases) assert.equal(routingKey(path), key)
  assert.equal(cases.length, 7, 'key cases')
})
