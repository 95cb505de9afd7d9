import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHUNK_EXTENSION_BYTES, TRAILER_BYTES } from '../limits.ts'
import { CHUNK_DATA, CHUNK_DONE, CHUNK_INVALID, CHUNK_MORE, ChunkDecoder, TRAILER_INVALID } from './chunk-decoder.ts'

interface Read {
  data: string
  verdict: number
  end: number
  trailers: string
}

const decoder = new ChunkDecoder()

function read(text: string, ...splits: number[]): Read {
  decoder.reset()
  let data = ''
  let from = 0
  for (const to of [...splits, text.length]) {
    const buf = Buffer.from(text.slice(from, to), 'latin1')
    let at = 0
    for (;;) {
      const verdict = decoder.next(buf, at, buf.length)
      at = decoder.position
      if (verdict === CHUNK_DATA) data += buf.latin1Slice(decoder.dataStart, decoder.dataEnd)
      else if (verdict === CHUNK_MORE) break
      else return { data, verdict, end: verdict === CHUNK_DONE ? from + at : -1, trailers: decoder.trailers }
    }
    from = to
  }
  return { data, verdict: CHUNK_MORE, end: -1, trailers: '' }
}

type Case = readonly [text: string, verdict: number, data?: string, trailers?: string]

/** RFC 9112 7.1; what stands behind `|` belongs to the next message. */
const CASES: readonly Case[] = [
  ['0\r\n\r\n', CHUNK_DONE],
  ['0\r\n\r\n|GET', CHUNK_DONE],
  ['0\r\n\r\n|\r\n', CHUNK_DONE],
  ['5\r\nhello\r\n0\r\n\r\n', CHUNK_DONE, 'hello'],
  ['5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n', CHUNK_DONE, 'hello world'],
  ['a\r\n0123456789\r\n0\r\n\r\n', CHUNK_DONE, '0123456789'],
  ['A\r\n0123456789\r\n0\r\n\r\n', CHUNK_DONE, '0123456789'],
  ['0000000000000005\r\nhello\r\n0\r\n\r\n', CHUNK_DONE, 'hello'],
  ['5\r\nhello\r\n0000000000000000\r\n\r\n', CHUNK_DONE, 'hello'],
  ['4\r\n\r\n\r\n\r\n0\r\n\r\n', CHUNK_DONE, '\r\n\r\n'],
  ['5\r\n0\r\n\r\n\r\n0\r\n\r\n', CHUNK_DONE, '0\r\n\r\n'],
  ['1;a\r\nx\r\n0\r\n\r\n', CHUNK_DONE, 'x'],
  ['1;a=b;c="d e;"\r\nx\r\n0;z\r\n\r\n', CHUNK_DONE, 'x'],
  ['1;\r\nx\r\n0;\r\n\r\n', CHUNK_DONE, 'x'],
  ['1; \t a\r\nx\r\n0\r\n\r\n', CHUNK_DONE, 'x'],
  ['1;\xff\r\nx\r\n0\r\n\r\n', CHUNK_DONE, 'x'],
  ['0\r\nX-A: 1\r\n\r\n', CHUNK_DONE, '', 'X-A: 1\r\n'],
  ['0\r\nX-A:1\r\nX-B: \t2 \r\n\r\n|rest', CHUNK_DONE, '', 'X-A: 1\r\nX-B: 2\r\n'],
  ['0\r\nX-A:\r\n\r\n', CHUNK_DONE, '', 'X-A: \r\n'],
  // RFC 9110 6.5.1: what frames, routes, authenticates or describes the content is no trailer.
  ['0\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\nHost: x\r\nX-A: 1\r\n\r\n', CHUNK_DONE, '', 'X-A: 1\r\n'],
  ['0\r\nAuthorization: x\r\nCookie: a\r\nSet-Cookie: b\r\n\r\n', CHUNK_DONE],
  ['0\r\nContent-Type: x\r\nContent-Encoding: x\r\nContent-Range: x\r\nTrailer: y\r\n\r\n', CHUNK_DONE],
  ['0\r\nX-Forwarded-For: 1\r\nX_Forwarded_For: 1\r\nX-Real-IP: 1\r\nForwarded: x\r\n\r\n', CHUNK_DONE],
  ['0\r\nX_A: 1\r\nConnection: close\r\nTE: x\r\nUpgrade: x\r\n\r\n', CHUNK_DONE],
  ['0\r\nGrpc-Status: 0\r\nServer-Timing: x\r\n\r\n', CHUNK_DONE, '', 'Grpc-Status: 0\r\nServer-Timing: x\r\n'],
  ['', CHUNK_MORE],
  ['0', CHUNK_MORE],
  ['0\r', CHUNK_MORE],
  ['0\r\n', CHUNK_MORE],
  ['0\r\n\r', CHUNK_MORE],
  ['0\r\nX-A: 1\r\n', CHUNK_MORE],
  ['0\r\nX-A: 1\r\n\r', CHUNK_MORE],
  ['5', CHUNK_MORE],
  ['5\r\nhel', CHUNK_MORE, 'hel'],
  ['5\r\nhello', CHUNK_MORE, 'hello'],
  ['5\r\nhello\r', CHUNK_MORE, 'hello'],
  ['5\r\nhello\r\n', CHUNK_MORE, 'hello'],
  ['1;', CHUNK_MORE],
  ['ffffffffffff\r\nx', CHUNK_MORE, 'x'],
  ['\r\n', CHUNK_INVALID],
  ['\n', CHUNK_INVALID],
  [' 5\r\n', CHUNK_INVALID],
  ['5 \r\n', CHUNK_INVALID],
  ['5\t\r\n', CHUNK_INVALID],
  ['5\n', CHUNK_INVALID],
  ['5\rh', CHUNK_INVALID],
  ['5\r\r\n', CHUNK_INVALID],
  ['5 ;a\r\n', CHUNK_INVALID],
  ['+5\r\n', CHUNK_INVALID],
  ['-5\r\n', CHUNK_INVALID],
  ['0x5\r\n', CHUNK_INVALID],
  ['5h\r\n', CHUNK_INVALID],
  ['g\r\n', CHUNK_INVALID],
  ['5,5\r\n', CHUNK_INVALID],
  ['\xb5\r\n', CHUNK_INVALID],
  ['5\0\r\n', CHUNK_INVALID],
  [';a\r\n', CHUNK_INVALID],
  ['1000000000000\r\n', CHUNK_INVALID],
  ['ffffffffffffffff\r\n', CHUNK_INVALID],
  ['00000000000000005\r\n', CHUNK_INVALID],
  ['100000000000000000\r\n', CHUNK_INVALID],
  ['1;a\n', CHUNK_INVALID],
  ['1;a\rb', CHUNK_INVALID],
  ['1;a\0\r\n', CHUNK_INVALID],
  ['1;"a\r\n b"\r\n', CHUNK_INVALID, ' '],
  ['5\r\nhello5', CHUNK_INVALID, 'hello'],
  ['5\r\nhello\n0\r\n\r\n', CHUNK_INVALID, 'hello'],
  ['5\r\nhello\r0\r\n\r\n', CHUNK_INVALID, 'hello'],
  ['5\r\nhello!\r\n', CHUNK_INVALID, 'hello'],
  ['5\r\nhello\r\n\r\n', CHUNK_INVALID, 'hello'],
  ['0\r\n\n', TRAILER_INVALID],
  ['0\r\n\rX', TRAILER_INVALID],
  ['0\r\nX : 1\r\n\r\n', TRAILER_INVALID],
  ['0\r\n X: 1\r\n\r\n', TRAILER_INVALID],
  ['0\r\nX: 1\r\n y\r\n\r\n', TRAILER_INVALID],
  ['0\r\nX: 1\n\r\n', TRAILER_INVALID],
  ['0\r\nX: \0\r\n\r\n', TRAILER_INVALID],
  ['0\r\nX\r\n\r\n', TRAILER_INVALID],
  ['0\r\nGET / HTTP/1.1\r\n\r\n', TRAILER_INVALID],
  [`0\r\n${'X: 1\r\n'.repeat(65)}\r\n`, TRAILER_INVALID],
]

test('the chunk table, in one piece and in two pieces at every position', () => {
  let ran = 0
  let splits = 0
  for (const [marked, verdict, data = '', trailers = ''] of CASES) {
    const end = marked.indexOf('|')
    const text = marked.replace('|', '')
    const expected = { data, verdict, end: verdict === CHUNK_DONE ? (end < 0 ? text.length : end) : -1, trailers }
    assert.deepEqual(read(text), expected, JSON.stringify(marked))
    for (let at = 0; at <= text.length; at++) {
      assert.deepEqual(read(text, at), expected, `${JSON.stringify(marked)} cut at ${at}`)
      splits++
    }
    ran++
  }
  assert.equal(ran, 80, 'chunk cases')
  assert.ok(splits > 1500)
})

test('a body with all that there is, in three pieces at every pair of positions', () => {
  const text = '5;a=b\r\nhello\r\n0B\r\n\r\n0\r\n\r\n1234\r\n0;x\r\nX-A: 1\r\nHost: b\r\n\r\nGET'
  const whole = read(text)
  assert.deepEqual(whole, {
    data: 'hello\r\n0\r\n\r\n1234',
    verdict: CHUNK_DONE,
    end: text.length - 3,
    trailers: 'X-A: 1\r\n',
  })
  let ran = 0
  for (let one = 0; one <= text.length; one++) {
    for (let two = one; two <= text.length; two++) {
      assert.deepEqual(read(text, one, two), whole, `${one}, ${two}`)
      ran++
    }
  }
  assert.equal(ran, ((text.length + 1) * (text.length + 2)) / 2)
})

test('extensions and trailers are bounded, over all chunks', () => {
  const half = 'x'.repeat(CHUNK_EXTENSION_BYTES / 2)
  assert.equal(read(`1;${half}\r\na\r\n1;${half}\r\nb\r\n0\r\n\r\n`).verdict, CHUNK_DONE)
  assert.equal(read(`1;${half}\r\na\r\n1;${half}\r\nb\r\n0;x\r\n\r\n`).verdict, CHUNK_INVALID)
  const trailer = (size: number): string => `0\r\nX: ${'x'.repeat(size - 7)}\r\n\r\n`
  assert.equal(read(trailer(TRAILER_BYTES)).verdict, CHUNK_DONE)
  assert.equal(read(trailer(TRAILER_BYTES + 10)).verdict, TRAILER_INVALID)
  assert.equal(read(`0\r\nX: ${'x'.repeat(TRAILER_BYTES)}`, 100, 5000).verdict, TRAILER_INVALID)
})

test('after its end a decoder stays at the end until it is reset', () => {
  assert.equal(read('0\r\n\r\n').verdict, CHUNK_DONE)
  const buf = Buffer.from('5\r\nhello')
  assert.equal(decoder.next(buf, 0, buf.length), CHUNK_DONE)
  assert.equal(decoder.position, 0)
  assert.equal(read('1\r\nx\r\n0\r\n\r\n').data, 'x')
})
