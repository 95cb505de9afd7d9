/**
 * Fuzzes the chunk decoder: every split of the bytes gives the same data, end and verdict, and a second reader agrees.
 *
 * Longer: `SALLYPORT_FUZZ_SECONDS=600 SALLYPORT_FUZZ_SEED=7 node --test test/fuzz/chunk.fuzz.test.ts`
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CHUNK_DATA,
  CHUNK_DONE,
  CHUNK_INVALID,
  CHUNK_MORE,
  ChunkDecoder,
  TRAILER_INVALID,
} from '../../src/http/h1/chunk-decoder.ts'
import { Budget, createRandom, cuts, mutate, SEED } from '../support/fuzz.ts'
import { readRequest } from '../support/second-reader.ts'

const HEAD = 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'

const CORPUS: readonly string[] = [
  '0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  '5;name=value\r\nhello\r\n000a;x;y="z"\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\n',
  'A\r\n\r\n0\r\n\r\n\r\n\r\n\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\nrest',
  '1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0;e\r\nContent-Length: 5\r\nX-Sum: \t9 \r\n\r\n',
  `ff\r\n${'\r\n0'.repeat(85)}\r\n0\r\n\r\n`,
  '000000000000000f\r\n0123456789abcde\r\n0\r\n\r\n',
]

interface Verdict {
  readonly data: string
  readonly verdict: number
  /** Bytes of the whole body; -1 unless it ended. */
  readonly end: number
  readonly trailers: string
}

/** Feeds a body in pieces, each in a buffer of its own with other bytes around it. */
function decode(text: string, ends: readonly number[]): Verdict {
  const decoder = new ChunkDecoder()
  decoder.reset()
  let data = ''
  let from = 0
  for (const to of ends) {
    const buf = Buffer.from(`\r\n${text.slice(from, to)}0\r\n\r\n`, 'latin1')
    const end = 2 + to - from
    let at = 2
    for (;;) {
      const found = decoder.next(buf, at, end)
      assert.ok(decoder.position >= at && decoder.position <= end, 'the position stays inside')
      at = decoder.position
      if (found === CHUNK_DATA) {
        assert.ok(decoder.dataStart >= 2 && decoder.dataEnd <= end && decoder.dataStart < decoder.dataEnd)
        data += buf.latin1Slice(decoder.dataStart, decoder.dataEnd)
      } else if (found === CHUNK_MORE) {
        assert.equal(at, end, 'everything is taken before more is asked for')
        break
      } else if (found === CHUNK_DONE) {
        return { data, verdict: found, end: from + at - 2, trailers: decoder.trailers }
      } else {
        assert.ok(found === CHUNK_INVALID || found === TRAILER_INVALID)
        return { data, verdict: found, end: -1, trailers: '' }
      }
    }
    from = to
  }
  return { data, verdict: CHUNK_MORE, end: -1, trailers: '' }
}

test('the chunk decoder: no throw, one verdict for every split, agreement with a second reader', () => {
  const random = createRandom(SEED)
  const budget = new Budget(25_000)
  const counts = [0, 0, 0, 0, 0]
  while (budget.next()) {
    const text = mutate(CORPUS, random)
    const label = `seed ${SEED} case ${budget.ran}: ${JSON.stringify(text)}`
    const whole = decode(text, [text.length])
    const each = Array.from({ length: text.length }, (_, i) => i + 1)
    assert.deepEqual(decode(text, each), whole, `byte by byte, ${label}`)
    assert.deepEqual(decode(text, cuts(text.length, random)), whole, `in pieces, ${label}`)
    counts[whole.verdict] = (counts[whole.verdict] as number) + 1
    assert.doesNotMatch(whole.trailers, /\r(?!\n)|(?<!\r)\n|\0/, label)
    const second = readRequest(HEAD + text)
    if (whole.verdict === CHUNK_DONE) {
      assert.ok(typeof second !== 'string', `we see an end, the second reader ${second}: ${label}`)
      assert.deepEqual([whole.data, whole.end], [second.body, second.length - HEAD.length], label)
      for (const line of whole.trailers.split('\r\n').slice(0, -1)) {
        const [name, value] = line.split(/: ?(.*)/s) as [string, string]
        assert.ok(
          second.trailers.some(([n, v]) => n === name && v === value),
          `trailer ${line}, ${label}`,
        )
      }
    } else if (whole.verdict === CHUNK_MORE) {
      assert.equal(second, 'more', label)
    } else {
      // The bounds on extensions and trailers are out of reach of these texts.
      assert.ok(typeof second === 'string', `refused, but the second reader takes it: ${label}`)
    }
  }
  const [more = 0, , done = 0, invalid = 0] = counts
  assert.ok(more > budget.ran / 50 && done > budget.ran / 10 && invalid > budget.ran / 10, counts.join(' '))
})
