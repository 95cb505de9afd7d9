import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseContentLength } from './content-length.ts'

test('a Content-Length is decimal digits and nothing else', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['0', 0],
    ['5', 5],
    ['1234567890', 1_234_567_890],
    ['007', 7],
    ['999999999999999', 999_999_999_999_999],
    ['000000000000000', 0],
    ['1000000000000000', -1],
    ['', -1],
    [' 5', -1],
    ['5 ', -1],
    ['+5', -1],
    ['-5', -1],
    ['-0', -1],
    ['5.0', -1],
    ['5,5', -1],
    ['5, 5', -1],
    ['0x5', -1],
    ['5e1', -1],
    ['5\t', -1],
    ['5\0', -1],
    ['\u0665', -1],
    ['\xb2', -1],
    ['1_000', -1],
    ['NaN', -1],
    ['Infinity', -1],
    ['18446744073709551616', -1],
  ]
  for (const [value, expected] of cases) assert.equal(parseContentLength(value), expected, JSON.stringify(value))
  assert.equal(cases.length, 26)
})
