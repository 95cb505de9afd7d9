import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { needs, TOOLS, toolPath } from './tools.ts'

for (const tool of TOOLS) {
  test(`${tool} is here for the tests that need it`, needs(tool), () => {
    assert.match(toolPath(tool), /^\//)
  })
}

test('the shell script installs exactly the tools that tests may ask for', () => {
  const script = readFileSync(new URL('tools.sh', import.meta.url), 'utf8')
  const pairs = /^TOOLS='(.*)'$/m.exec(script)?.[1]?.split(' ') ?? []
  assert.deepEqual(
    pairs.map((pair) => pair.split(':')[0]),
    [...TOOLS],
  )
})
