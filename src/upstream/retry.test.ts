import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isIdempotent, mayRetry, type RetryRules } from './retry.ts'

const METHODS = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'POST', 'PATCH', 'get', 'BREW', '']
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
const FAILURES = [
  ...([
    'connect',
    'connect-timeout',
    'tls',
    'tls-late',
    'reset',
    'response-timeout',
    'body-timeout',
    'invalid',
  ] as const),
  ...[502, 503, 504, 404, 200],
]
/** The setting that speaks of a failure; null: nothing allows its repeat. */
const SETTING: Readonly<Record<string, string | null>> = {
  connect: 'connect',
  'connect-timeout': 'connect',
  tls: 'connect',
  'tls-late': 'reset',
  reset: 'reset',
  'response-timeout': 'timeout',
  'body-timeout': null,
  invalid: null,
}

test('methods whose repetition does no harm are known by their exact names', () => {
  for (const method of METHODS) assert.equal(isIdempotent(method), SAFE.has(method), method)
})

test('a repeat needs its setting, an attempt left, and a request of which no endpoint can have done anything', () => {
  let ran = 0
  let allowed = 0
  for (const on of [
    [],
    ['connect'],
    ['reset'],
    ['timeout'],
    ['502'],
    ['connect', 'reset', 'timeout', '502', '503', '504'],
  ]) {
    const rules: RetryRules = { attempts: 2, on: new Set(on) }
    for (const failure of FAILURES) {
      for (const method of METHODS) {
        for (const bodySent of [false, true]) {
          for (const attempts of [1, 2, 3]) {
            const setting = typeof failure === 'number' ? String(failure) : SETTING[failure]
            const named = setting !== null && setting !== undefined && on.includes(setting)
            // Before a connection stood nothing can have been done.
            const harmless = setting === 'connect' || (SAFE.has(method) && !bodySent)
            const expected = named && harmless && attempts < 2
            assert.equal(
              mayRetry(rules, failure, method, bodySent, attempts),
              expected,
              `${on} ${failure} ${method} ${bodySent} ${attempts}`,
            )
            ran++
            if (expected) allowed++
          }
        }
      }
    }
  }
  assert.equal(ran, 6 * 13 * 10 * 2 * 3)
  assert.ok(allowed > 100)
})

test('without settings nothing is repeated', () => {
  for (const failure of FAILURES) assert.equal(mayRetry(null, failure, 'GET', false, 1), false)
})
