import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from './nearest.ts'

test('a mistyped word finds the one that was meant, and a strange one finds none', () => {
  const known = ['listeners', 'upstreams', 'routes', 'policies', 'rateLimit', 'headers']
  const rows: [string, string | null][] = [
    ['listners', 'listeners'],
    ['upstream', 'upstreams'],
    ['route', 'routes'],
    ['polices', 'policies'],
    ['ratelimit', 'rateLimit'],
    ['haeders', 'headers'],
    ['zebra', null],
    ['', null],
    ['x'.repeat(10_000), null],
  ]
  for (const [word, expected] of rows) assert.equal(nearest(word, known), expected, word.slice(0, 20))
  assert.equal(rows.length, 9)
})
