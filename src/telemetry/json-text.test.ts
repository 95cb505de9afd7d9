import assert from 'node:assert/strict'
import { test } from 'node:test'
import { escapeJson, quoteJson } from './json-text.ts'

test('every code unit survives a round trip through JSON and the text is ASCII', () => {
  let ran = 0
  for (let code = 0; code <= 0xffff; code++) {
    const text = `a${String.fromCharCode(code)}b`
    const written = quoteJson(text)
    assert.equal(JSON.parse(written), text)
    for (let i = 0; i < written.length; i++) {
      const c = written.charCodeAt(i)
      if (c < 0x20 || c > 0x7e) assert.fail(`code unit ${c} was written for ${code}`)
    }
    ran++
  }
  assert.equal(ran, 65536, 'code units')
})

test('text that needs no escape is returned as it is', () => {
  const text = " !#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~"
  assert.equal(escapeJson(text), text)
})

test('absent text is null', () => {
  assert.equal(quoteJson(null), 'null')
  assert.equal(quoteJson(''), '""')
})

test('a byte of 0x80 or more becomes one escape', () => {
  assert.equal(escapeJson('/caf\xe9/\xff'), '/caf\\u00e9/\\u00ff')
})
