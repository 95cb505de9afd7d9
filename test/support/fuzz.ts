/** What the fuzzers share: a seeded random source, mutations that know HTTP's weak places, and how long to go on. */

/** A whole number from 0 to n - 1. */
export type Random = (n: number) => number

/** xorshift32: the same numbers for the same seed on every machine. */
export function createRandom(seed: number): Random {
  let state = (seed | 0) === 0 ? 1 : seed | 0
  return (n) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % n
  }
}

const NASTY = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\n\r',
    '\r\r\n',
    '\r\n\r\n',
    '\n\n',
    '\0',
    ' ',
    '\t',
    '\x0b',
    '\x0c',
    '\x7f',
    '\x80',
    '\xa0',
    '\xff',
    '\x85',
  ],
  ...[
    ':',
    ' :',
    ': ',
    ';',
    ',',
    '"',
    '\\',
    '/',
    '?',
    '#',
    '%',
    '%00',
    '%2f',
    '..',
    '0',
    '00',
    '-1',
    '+1',
    '0x',
    '1',
    'f',
    'ffffffffffffffff',
  ],
  ...[
    '\r\n ',
    '\r\n\t',
    'Content-Length: 5\r\n',
    'Content-Length: 0\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding: identity\r\n',
  ],
  ...[
    'Transfer-Encoding:\x0bchunked\r\n',
    'Transfer-Encoding : chunked\r\n',
    'Content_Length: 3\r\n',
    'content-length:\t4\r\n',
    'chunked',
    'CHUNKED',
  ],
  ...[
    'Host: b\r\n',
    'Connection: close\r\n',
    'Connection: Host, content-length\r\n',
    'Expect: 100-continue\r\n',
    'Upgrade: x\r\n',
    'Connection: upgrade\r\n',
  ],
  ...[
    '0\r\n\r\n',
    '5\r\nhello\r\n',
    '1;a="\r\n',
    'HTTP/1.0',
    'HTTP/1.1',
    'HTTP/2.0',
    'GET / HTTP/1.1\r\n',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 100 C\r\n\r\n',
  ],
]

/** One to five changes of one text: flipped bytes, nasty bytes, lost, doubled and borrowed pieces, other line ends. */
export function mutate(corpus: readonly string[], random: Random): string {
  let text = corpus[random(corpus.length)] as string
  for (let changes = 1 + random(random(4) === 0 ? 5 : 2); changes > 0; changes--) {
    const at = random(text.length + 1)
    const size = 1 + random(random(3) === 0 ? 40 : 3)
    switch (random(9)) {
      case 0:
        text = `${text.slice(0, at)}${String.fromCharCode(random(256))}${text.slice(at + 1)}`
        break
      case 1:
      case 2:
        text = text.slice(0, at) + NASTY[random(NASTY.length)] + text.slice(at)
        break
      case 3:
        text = text.slice(0, at) + NASTY[random(NASTY.length)] + text.slice(at + size)
        break
      case 4:
        text = text.slice(0, at) + text.slice(at + size)
        break
      case 5:
        text = text.slice(0, at) + text.slice(at, at + size) + text.slice(at)
        break
      case 6: {
        const other = corpus[random(corpus.length)] as string
        const from = random(other.length)
        text = text.slice(0, at) + other.slice(from, from + size * 5) + text.slice(at + random(size * 5))
        break
      }
      case 7: {
        // A line end somewhere becomes another one.
        const line = text.indexOf('\r\n', at)
        if (line >= 0)
          text = text.slice(0, line) + (['\n', '\r', '\r\n\r\n', ' ', ''][random(5)] as string) + text.slice(line + 2)
        break
      }
      default: {
        // A line moves to the end of the head.
        const from = text.indexOf('\r\n', at)
        const to = from < 0 ? -1 : text.indexOf('\r\n', from + 2)
        const end = text.indexOf('\r\n\r\n')
        if (to > 0 && end > to)
          text = text.slice(0, from) + text.slice(to, end) + text.slice(from, to) + text.slice(end)
      }
    }
  }
  return text
}

/** Cuts a length into pieces: ends of the pieces, the last one is `length`. */
export function cuts(length: number, random: Random): number[] {
  const ends: number[] = []
  const widest = 1 + random(random(2) === 0 ? 3 : 60)
  for (let at = 0; at < length; ) {
    at = Math.min(length, at + 1 + random(widest))
    ends.push(at)
  }
  return ends
}

/** `SALLYPORT_FUZZ_SECONDS` goes on that long instead of a fixed number of cases; `SALLYPORT_FUZZ_SEED` starts elsewhere. */
const SECONDS = Number(process.env.SALLYPORT_FUZZ_SECONDS ?? 0)
export const SEED = Number(process.env.SALLYPORT_FUZZ_SEED ?? 20_261)

/** Counts up to `cases`, or for as long as the environment says. */
export class Budget {
  ran = 0
  readonly #cases: number
  readonly #until = performance.now() + SECONDS * 1000

  constructor(cases: number) {
    this.#cases = cases
  }

  next(): boolean {
    if (SECONDS > 0 ? performance.now() >= this.#until : this.ran >= this.#cases) return false
    this.ran++
    return true
  }
}
