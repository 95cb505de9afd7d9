import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ConfigError } from './config-error.ts'
import { loadConfig } from './load.ts'

const FOLDER = new URL('../../test/golden/config/', import.meta.url)
const RUNS = 1500

test('a mangled file gets problems, never a crash', () => {
  const samples = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.txt'))
    .flatMap((name) =>
      readFileSync(new URL(name, FOLDER), 'utf8')
        .split(/^=== .*\n/m)
        .slice(1)
        .map((part) => part.split(/^--- expected\n/m)[0]!),
    )
  const random = createRandom(20_26)
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ': ',
    ', ',
    "'",
    '"',
    '\n',
    '  ',
    '- ',
    '*a',
    '&a ',
    `\${env:A}`,
    '!!str ',
    'null',
    '#',
    '|',
    '\t',
    '\u0000',
    '0',
    '-1',
  ]
  let refused = 0
  for (let run = 0; run < RUNS; run++) {
    let text = samples[random(samples.length)]!
    for (let edits = 1 + random(4); edits > 0; edits--) {
      const at = random(text.length + 1)
      const end = Math.min(text.length, at + random(6))
      text = text.slice(0, at) + (random(3) === 0 ? '' : pieces[random(pieces.length)]!) + text.slice(end)
    }
    try {
      loadConfig('fuzz.yaml', { env: { A: 'a' }, readFile: (path) => reader(path, text) })
    } catch (error) {
      assert.ok(error instanceof ConfigError, `${error instanceof Error ? error.stack : error}\n${text}`)
      for (const line of error.lines) assert.match(line, /^fuzz\.yaml:\d+:\d+ \S/, text)
      refused++
    }
  }
  assert.ok(refused > RUNS / 2, `${refused} of ${RUNS} refused`)
})

function reader(path: string, text: string): Buffer {
  if (path.endsWith('fuzz.yaml')) return Buffer.from(text)
  throw Object.assign(new Error('none'), { code: 'ENOENT' })
}

/** A small seeded generator (mulberry32): the same runs everywhere. */
function createRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
