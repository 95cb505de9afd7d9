import assert from 'node:assert/strict'
import { test } from 'node:test'
import { F, HOP, IDENTITY, LENGTH } from './field-names.ts'
import { DROPPED, FieldTable, fieldTableOf, isFieldValue } from './field-table.ts'
import { parseFields } from './h1/parse-fields.ts'

function parsed(text: string): FieldTable {
  const table = new FieldTable()
  const bytes = Buffer.from(`${text}\r\n`, 'latin1')
  assert.equal(parseFields(bytes, 0, bytes.length, 0, table, 1000), bytes.length)
  table.text = bytes.latin1Slice()
  return table
}

test('a field is found by its lower-case name, values of repeated ones are joined in order', () => {
  const table = parsed('Accept: a\r\nX: 1\r\nACCEPT:b\r\naccept:  c \r\n')
  assert.equal(table.find('accept'), 0)
  assert.equal(table.find('accept', 1), 2)
  assert.equal(table.get('accept'), 'a, b, c')
  assert.equal(table.get('x'), '1')
  assert.equal(table.get('missing'), null)
  assert.equal(table.find('acc'), -1)
})

test('an empty value is not an absent field', () => {
  const table = parsed('Empty:\r\n')
  assert.equal(table.get('empty'), '')
  assert.equal(table.find('empty'), 0)
})

test('names with token characters beyond letters are compared as they are', () => {
  const table = parsed('A^B: 1\r\nA~B: 2\r\n')
  assert.equal(table.get('a^b'), '1')
  assert.equal(table.get('a~b'), '2')
})

test('removed fields are neither found nor written, added ones are both', () => {
  const table = parsed('A: 1\r\nB: 2\r\nA: 3\r\n')
  table.remove('a')
  assert.equal(table.get('a'), null)
  table.add('A', '4')
  assert.equal(table.get('a'), '4')
  assert.equal(table.write(DROPPED), 'B: 2\r\nA: 4\r\n')
  table.remove('a')
  assert.equal(table.get('a'), null)
  assert.equal(table.write(DROPPED), 'B: 2\r\n')
  table.set('B', '5')
  assert.equal(table.write(DROPPED), 'B: 5\r\n')
})

test('removing one added field leaves the other added ones', () => {
  const table = parsed('')
  table.add('Set-Cookie', 'a: b')
  table.add('X', '1')
  table.add('Set-Cookie', 'c')
  assert.equal(table.get('set-cookie'), 'a: b, c')
  table.remove('x')
  assert.equal(table.write(0), 'Set-Cookie: a: b\r\nSet-Cookie: c\r\n')
})

test('lines are written verbatim, without those of the mask, for every pattern of six fields', () => {
  const lines = ['A: 1\r\n', 'Host:x\r\n', 'B:  2 \r\n', 'X-Real-IP: 3\r\n', 'Content-Length: 4\r\n', 'C:\r\n']
  let ran = 0
  for (let pattern = 0; pattern < 64; pattern++) {
    const kept = lines.filter((_, i) => ((pattern >> i) & 1) === 1)
    const table = parsed(kept.join(''))
    for (const [mask, dropped] of [
      [0, []],
      [HOP, [1]],
      [IDENTITY, [3]],
      [LENGTH, [4]],
      [HOP | IDENTITY | LENGTH, [1, 3, 4]],
    ] as const) {
      const expected = kept.filter((line) => !(dropped as readonly number[]).includes(lines.indexOf(line)))
      assert.equal(table.write(mask), expected.join(''))
      ran++
    }
  }
  assert.equal(ran, 320)
})

test('a table is used again for a smaller message without a trace of the larger one', () => {
  const table = new FieldTable()
  for (const text of [`${'A: 1\r\n'.repeat(200)}`, 'B: 2\r\n', '']) {
    const bytes = Buffer.from(`${text}\r\n`)
    parseFields(bytes, 0, bytes.length, 0, table, 1000)
    table.text = bytes.latin1Slice()
    assert.equal(table.write(0), text)
  }
  assert.equal(table.get('a'), null)
})

test('a table grows beyond its first size and keeps what it had', () => {
  const table = parsed(Array.from({ length: 300 }, (_, i) => `N${i}: ${i}\r\n`).join(''))
  assert.equal(table.count, 300)
  for (const i of [0, 31, 32, 33, 63, 64, 299]) assert.equal(table.get(`n${i}`), String(i))
})

test('a table made from a list reads as a parsed one', () => {
  const made = fieldTableOf([
    ['Host', 'a'],
    ['X-A', ''],
    ['Content-Length', '5'],
  ])
  const read = parsed('Host: a\r\nX-A: \r\nContent-Length: 5\r\n')
  assert.equal(made.write(0), read.write(0))
  assert.equal(made.write(HOP | LENGTH), 'X-A: \r\n')
  assert.equal(made.findId(F.contentLength), 2)
  assert.equal(made.value(1), '')
  assert.equal(fieldTableOf(Array.from({ length: 100 }, (_, i) => [`A${i}`, 'x'] as const)).get('a99'), 'x')
})

test('a field value holds no control character but tab, and nothing beyond one byte', () => {
  for (const good of ['', 'a', 'a\tb', ' ', '\x80\xff', '"'])
    assert.equal(isFieldValue(good), true, JSON.stringify(good))
  for (const bad of ['\r', '\n', 'a\r\nB: c', '\0', '\x1f', '\x7f', '\u0100', '\u{1f600}']) {
    assert.equal(isFieldValue(bad), false, JSON.stringify(bad))
  }
})
