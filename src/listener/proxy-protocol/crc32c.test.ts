import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from './crc32c.ts'

test('the vectors of RFC 3720 B.4 give their checksums', () => {
  const vectors: readonly (readonly [Buffer, number])[] = [
    [Buffer.alloc(32, 0), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    [Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
    [Buffer.from('123456789'), 0xe3069283],
    [Buffer.alloc(0), 0],
  ]
  let ran = 0
  for (const [bytes, expected] of vectors) {
    assert.equal(crc32c(bytes, 0, bytes.length), expected)
    ran++
  }
  assert.equal(ran, 6, 'checksum vectors')
})

test('a checksum taken in pieces equals the one of the whole', () => {
  const bytes = Buffer.from('the quick brown fox jumps over the lazy dog')
  const whole = crc32c(bytes, 0, bytes.length)
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.equal(crc32c(bytes, cut, bytes.length, crc32c(bytes, 0, cut)), whole)
  }
})
