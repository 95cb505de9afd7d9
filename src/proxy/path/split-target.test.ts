import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitTarget } from './split-target.ts'

test('a request target is taken apart as RFC 9112 3.2 says', () => {
  const cases: readonly (readonly [string, string | null, string | null, string])[] = [
    ['/a?b', null, null, '/a?b'],
    ['//a.test/b', null, null, '//a.test/b'],
    ['*', null, null, '*'],
    ['a.test:443', null, null, 'a.test:443'],
    ['http://a.test/b?c', 'http', 'a.test', '/b?c'],
    ['https://a.test:8443/b', 'https', 'a.test:8443', '/b'],
    ['HtTpS://A.test', 'https', 'A.test', ''],
    ['http://a.test?c', 'http', 'a.test', '?c'],
    ['http://a.test#c', 'http', 'a.test', '#c'],
    ['http://u@a.test/', 'http', 'u@a.test', '/'],
    ['http://a.test\\@b.test/', 'http', 'a.test\\@b.test', '/'],
    ['http://[::1]:80/a', 'http', '[::1]:80', '/a'],
    ['http:///a', 'http', '', '/a'],
    ['ftp://a.test/b', null, null, 'ftp://a.test/b'],
    ['http:/a', null, null, 'http:/a'],
    ['', null, null, ''],
  ]
  for (const [target, scheme, authority, pathAndQuery] of cases) {
    assert.deepEqual(splitTarget(target), { scheme, authority, pathAndQuery }, target)
  }
  assert.equal(cases.length, 16, 'split cases')
})
