import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTraceparent, parseTraceparent } from './traceparent.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'

test('a valid traceparent is read, of this version and of later ones', () => {
  const cases: readonly (readonly [string, boolean])[] = [
    [`00-${TRACE}-${PARENT}-01`, true],
    [`00-${TRACE}-${PARENT}-00`, false],
    [`00-${TRACE}-${PARENT}-03`, true],
    [`00-${TRACE}-${PARENT}-fe`, false],
    [`01-${TRACE}-${PARENT}-01`, true],
    [`cc-${TRACE}-${PARENT}-01-what-comes-later`, true],
    [`fe-${TRACE}-${PARENT}-00-`, false],
  ]
  for (const [text, sampled] of cases) {
    assert.deepEqual(parseTraceparent(text), { traceId: TRACE, parentId: PARENT, sampled }, text)
  }
  assert.equal(cases.length, 7)
})

test('an invalid traceparent is dropped', () => {
  const cases = [
    '',
    `00-${TRACE}-${PARENT}`,
    `00-${TRACE}-${PARENT}-0`,
    `00-${TRACE}-${PARENT}-01-`,
    `00-${TRACE}-${PARENT}-01-more`,
    `00-${TRACE}-${PARENT}-011`,
    `01-${TRACE}-${PARENT}-01more`,
    `ff-${TRACE}-${PARENT}-01`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `00-${TRACE}-${PARENT.toUpperCase()}-01`,
    `0A-${TRACE}-${PARENT}-01`,
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.slice(1)}g-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-0x`,
    `00_${TRACE}_${PARENT}_01`,
    `00-${TRACE}-${PARENT.slice(1)}--01`,
    `00a${TRACE}-${PARENT}-01`,
    ` 00-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01,00-${TRACE}-${PARENT}-01`,
    `00-${TRACE.slice(1)}\xe9-${PARENT}-01`,
  ]
  for (const text of cases) assert.equal(parseTraceparent(text), null, text)
  assert.equal(cases.length, 21)
})

test('what is written is read again', () => {
  for (const sampled of [true, false]) {
    const text = formatTraceparent(TRACE, PARENT, sampled)
    assert.deepEqual(parseTraceparent(text), { traceId: TRACE, parentId: PARENT, sampled })
  }
})

test('one changed character never makes another trace of it in silence', () => {
  const good = `00-${TRACE}-${PARENT}-01`
  let ran = 0
  for (let i = 0; i < good.length; i++) {
    for (let c = 0; c < 256; c++) {
      const text = good.slice(0, i) + String.fromCharCode(c) + good.slice(i + 1)
      const parsed = parseTraceparent(text)
      if (parsed !== null) {
        assert.match(text, /^(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
        assert.equal(text.includes(parsed.traceId) && text.includes(parsed.parentId), true)
      }
      ran++
    }
  }
  assert.equal(ran, 55 * 256)
})
