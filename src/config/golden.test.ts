import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { ConfigError } from './config-error.ts'
import { loadConfig } from './load.ts'

const FOLDER = new URL('../../test/golden/config/', import.meta.url)
const ENV = { SET: 'swordfish-value', EMPTY: '' }
const CASES = 86

/** `=== name`, the file, `--- expected`, one line per problem; `UPDATE_GOLDEN=1` writes what came out, to be read before it is kept. */
test('every wrong configuration gets exactly the problems that the golden files have', () => {
  let ran = 0
  for (const name of readdirSync(FOLDER)
    .filter((file) => file.endsWith('.txt'))
    .sort()) {
    const path = new URL(name, FOLDER)
    const actual: string[] = []
    const text = readFileSync(path, 'utf8')
    for (const part of text.split(/^=== /m).slice(1)) {
      const title = part.slice(0, part.indexOf('\n'))
      const [yaml = ''] = part.slice(title.length + 1).split(/^--- expected\n/m)
      actual.push(`=== ${title}\n${yaml}--- expected\n${outcome(yaml)}\n`)
      ran++
    }
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, actual.join(''))
    else assert.equal(actual.join(''), text, name)
  }
  assert.equal(ran, CASES, 'golden configuration cases')
})

function outcome(yaml: string): string {
  const readFile = (path: string) => {
    if (path.endsWith('edge.yaml')) return Buffer.from(yaml)
    throw Object.assign(new Error('none'), { code: 'ENOENT' })
  }
  try {
    const { warnings } = loadConfig('edge.yaml', { env: ENV, readFile })
    return ['ok', ...warnings.map((warning) => `warning: ${warning}`)].join('\n')
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    assert.ok(!error.message.includes('swordfish'), 'a secret is in a problem')
    assert.ok(!error.message.includes('hunter'), 'a secret is in a problem')
    return error.lines.join('\n')
  }
}
