import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DROPPED, fieldTableOf } from '../field-table.ts'
import { OPTION_CLOSE, OPTION_KEEP_ALIVE, OPTION_UPGRADE, readConnection } from './connection-options.ts'

const none = fieldTableOf([])

test('close, keep-alive and upgrade are found whatever their case, place and spacing', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['close', OPTION_CLOSE],
    ['Close', OPTION_CLOSE],
    ['keep-alive', OPTION_KEEP_ALIVE],
    ['Keep-Alive', OPTION_KEEP_ALIVE],
    ['upgrade', OPTION_UPGRADE],
    ['keep-alive, Upgrade', OPTION_KEEP_ALIVE | OPTION_UPGRADE],
    ['keep-alive,close', OPTION_KEEP_ALIVE | OPTION_CLOSE],
    [' \tclose\t , x', OPTION_CLOSE],
    [',,close,,', OPTION_CLOSE],
    ['closed', 0],
    ['clo se', 0],
    ['"close"', 0],
    ['', 0],
    [',', 0],
    ['te', 0],
  ]
  for (const [value, expected] of cases) assert.equal(readConnection(value, none), expected, value)
  assert.equal(cases.length, 15)
})

test('every field that Connection names is dropped, wherever it stands and however often', () => {
  const table = fieldTableOf([
    ['X-Hop', '1'],
    ['X-Keep', '2'],
    ['x-hop', '3'],
    ['Keep-Me', '4'],
  ])
  readConnection('X-HOP, keep-me', table)
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => ((table.flags[i] as number) & DROPPED) !== 0),
    [true, false, true, true],
  )
  assert.equal(table.write(DROPPED), 'X-Keep: 2\r\n')
})

test('fields that frame, route or vouch for the client cannot be named away', () => {
  const names = [
    'Host',
    'Content-Length',
    'Transfer-Encoding',
    'X-Forwarded-For',
    'Forwarded',
    'X-Real-IP',
    'Traceparent',
  ]
  const table = fieldTableOf(names.map((name) => [name, 'v']))
  readConnection(names.join(', '), table)
  for (let i = 0; i < names.length; i++) assert.equal((table.flags[i] as number) & DROPPED, 0, names[i])
})
