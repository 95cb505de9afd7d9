import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { REASON_CODES } from '../base/errors.ts'
import { parseDuration, parseSize } from '../schema/units.ts'
import { configSchema, referencePages } from './reference-pages.ts'

const FOLDER = new URL('../../docs/reference/', import.meta.url)

test('the reference pages are those of the schema: run `sallyport docs` when this fails', () => {
  const pages = Object.entries(referencePages())
  for (const [name, text] of pages) assert.equal(readFileSync(new URL(name, FOLDER), 'utf8'), text, name)
  assert.equal(pages.length, 4)
})

test('every key has a description, and every default is what its own type takes', () => {
  let keys = 0
  const visit = (node: ReturnType<typeof configSchema>, path: string) => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      keys++
      assert.ok(child.description, `${path}.${key} has no description`)
      if (child.title?.startsWith('duration') && typeof child.default === 'string' && child.default !== 'none') {
        assert.notEqual(parseDuration(child.default), undefined, `${path}.${key}`)
      }
      if (child.title?.startsWith('size') && typeof child.default === 'string') {
        assert.notEqual(parseSize(child.default), undefined, `${path}.${key}`)
      }
      visit(child, `${path}.${key}`)
    }
    if (typeof node.additionalProperties === 'object') visit(node.additionalProperties, `${path}.NAME`)
    if (node.items) visit(node.items, `${path}[]`)
    for (const branch of node.anyOf ?? []) visit(branch, path)
  }
  visit(configSchema(), '')
  assert.ok(keys > 100, `${keys} keys`)
})

test('every reason code is on its page', () => {
  const page = referencePages()['reason-codes.md'] ?? ''
  for (const code of REASON_CODES) assert.ok(page.includes(`| \`${code}\` |`), code)
})
