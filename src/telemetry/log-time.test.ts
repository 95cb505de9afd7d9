import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMs, LogTime } from './log-time.ts'

test('a time reads as Date.toISOString writes it, also when seconds come out of order', () => {
  const time = new LogTime()
  const cases = [0, 999, 1000, 1767225599999, 1767225600000, 1767225599000, 1767225600001, 253402300799999]
  for (const ms of cases) assert.equal(time.format(ms), new Date(ms).toISOString())
  assert.equal(cases.length, 8)
})

test('a fraction of a millisecond is cut and what is no time is 1970', () => {
  const time = new LogTime()
  assert.equal(time.format(1767225600001.9), '2026-01-01T00:00:00.001Z')
  for (const ms of [Number.NaN, -1, Number.POSITIVE_INFINITY, 9e15]) {
    assert.equal(time.format(ms), '1970-01-01T00:00:00.000Z')
  }
})

test('a duration has at most three decimals and no trailing zeros', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0'],
    [0.0004, '0'],
    [0.0006, '0.001'],
    [1, '1'],
    [1.5, '1.5'],
    [1.05, '1.05'],
    [1.2345, '1.235'],
    [0.9999, '1'],
    [12345.678, '12345.678'],
    [-1, '0'],
    [Number.NaN, '0'],
    [Number.POSITIVE_INFINITY, '4000000000000'],
  ]
  for (const [ms, text] of cases) assert.equal(formatMs(ms), text, String(ms))
  assert.equal(cases.length, 12)
})
