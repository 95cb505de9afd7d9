import assert from 'node:assert/strict'
import { isIPv4, isIPv6 } from 'node:net'
import { test } from 'node:test'
import { formatIpv4, formatIpv6, parseIpText } from './ip-text.ts'

const VALID: readonly (readonly [string, string])[] = [
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['10.0.200.7', '10.0.200.7'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['2001:DB8::1', '2001:db8::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:0db8:0000:0001:0001:0001:0001:0001', '2001:db8:0:1:1:1:1:1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['0:0:0:0:0:ffff:0a01:0203', '10.1.2.3'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
]

const INVALID = [
  ...['', '1', '1.2.3', '1.2.3.4.5', '1.2.3.', '.1.2.3', '1..2.3', '256.1.1.1', '01.2.3.4', '1.2.3.00', '1.2.3.4 '],
  ...['1.2.3.-4', '1.2.3.0x4', ':', ':::', '1:', ':1', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '12345::'],
  ...[
    '::1%eth0',
    '[::1]',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    '::g',
    '::1.2.3',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
  ],
  ...['::ffff:01.2.3.4', '::ffff:1.2.3.4.5', '1::2:', 'fe80::1/64'],
]

test('an address is read into bytes and printed in its shortest form', () => {
  let ran = 0
  for (const [text, expected] of VALID) {
    const bytes = new Uint8Array(16)
    const length = parseIpText(text, bytes)
    assert.equal(length, text.includes(':') ? 16 : 4, text)
    assert.equal(length === 4 ? formatIpv4(bytes, 0) : formatIpv6(bytes, 0), expected, text)
    ran++
  }
  assert.equal(ran, 15, 'valid addresses')
})

test('what is no address is refused', () => {
  let ran = 0
  for (const text of INVALID) {
    assert.equal(parseIpText(text, new Uint8Array(16)), 0, text)
    ran++
  }
  assert.equal(ran, 33, 'invalid addresses')
})

test('random texts are judged as node:net judges them', () => {
  const random = createRandom(7)
  const alphabet = '0123456789abcdefF:::::....'
  let agreed = 0
  for (let i = 0; i < 20_000; i++) {
    let text = ''
    const length = 2 + random(14)
    for (let c = 0; c < length; c++) text += alphabet[random(alphabet.length)]
    assert.equal(parseIpText(text, new Uint8Array(16)) !== 0, isIPv4(text) || isIPv6(text), text)
    agreed++
  }
  assert.equal(agreed, 20_000)
})

function createRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % below
  }
}
