import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FieldTable } from '../field-table.ts'
import { FIELD_INVALID, FIELDS_TOO_MANY, INCOMPLETE, parseFields } from './parse-fields.ts'

function parse(text: string, maxFields = 10): { result: number; fields: [string, string][] } {
  const table = new FieldTable()
  const bytes = Buffer.from(text, 'latin1')
  const result = parseFields(bytes, 0, bytes.length, 0, table, maxFields)
  table.text = bytes.latin1Slice()
  const count = result < 0 ? 0 : table.count
  return { result, fields: Array.from({ length: count }, (_, i) => [table.name(i), table.value(i)]) }
}

test('sound sections give their fields, values without surrounding white space (RFC 9112 5)', () => {
  const cases: readonly (readonly [string, [string, string][]])[] = [
    ['\r\n', []],
    ['A: b\r\n\r\n', [['A', 'b']]],
    ['A:b\r\n\r\n', [['A', 'b']]],
    ['A:\r\n\r\n', [['A', '']]],
    ['A: \t \r\n\r\n', [['A', '']]],
    ['A: \t b\tc \t\r\n\r\n', [['A', 'b\tc']]],
    ['A: b: c\r\n\r\n', [['A', 'b: c']]],
    ['A: \x80\xff\r\n\r\n', [['A', '\x80\xff']]],
    ['A: "b\\"c"\r\n\r\n', [['A', '"b\\"c"']]],
    ["!#$%&'*+-.^_`|~09Az: b\r\n\r\n", [["!#$%&'*+-.^_`|~09Az", 'b']]],
    [
      'A: 1\r\nA: 2\r\n\r\n',
      [
        ['A', '1'],
        ['A', '2'],
      ],
    ],
  ]
  for (const [text, fields] of cases) {
    assert.deepEqual(parse(text), { result: text.length, fields }, JSON.stringify(text))
    assert.equal(parse(`${text}next`).result, text.length, 'what follows is left alone')
  }
  assert.equal(cases.length, 11)
})

test('unsound sections are refused (RFC 9112 5.1, 5.2, 2.2; RFC 9110 5.5)', () => {
  const cases = [
    ...[
      'A : b\r\n\r\n',
      'A\t: b\r\n\r\n',
      ' A: b\r\n\r\n',
      '\tA: b\r\n\r\n',
      ': b\r\n\r\n',
      'A\r\n\r\n',
      'A b: c\r\n\r\n',
      '"A": b\r\n\r\n',
    ],
    ...[
      'A: b\n\n',
      'A: b\n\r\n',
      'A: b\r\n\n',
      'A: b\r\r\n\r\n',
      'A: b\rC: d\r\n\r\n',
      '\n',
      '\r\r\n',
      '\rA: b\r\n\r\n',
    ],
    ...[
      'A: b\r\n c\r\n\r\n',
      'A: b\r\n\tc\r\n\r\n',
      'A:\r\n b\r\n\r\n',
      'A: b\0\r\n\r\n',
      'A\0: b\r\n\r\n',
      'A: \x01\r\n\r\n',
      'A: \x1f\r\n\r\n',
    ],
    ...[
      'A: \x7f\r\n\r\n',
      'A\x7f: b\r\n\r\n',
      'A\x80: b\r\n\r\n',
      '\xc3\xa9: b\r\n\r\n',
      'A(: b\r\n\r\n',
      'A/: b\r\n\r\n',
      'A[]: b\r\n\r\n',
      'A{: b\r\n\r\n',
    ],
    ...['A: \x0b\r\n\r\n', 'A: \x0c\r\n\r\n', '@: b\r\n\r\n', 'A=b\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n'],
  ]
  for (const text of cases) assert.equal(parse(text).result, FIELD_INVALID, JSON.stringify(text))
  assert.equal(cases.length, 36)
})

test('a section that is cut anywhere asks for more, and never looks behind its end', () => {
  const text = 'A: b\r\nContent-Length: 5\r\nX:\r\n\r\n'
  for (let cut = 0; cut < text.length; cut++) {
    const bytes = Buffer.from(text)
    assert.equal(parseFields(bytes, 0, cut, 0, new FieldTable(), 10), INCOMPLETE, `cut at ${cut}`)
  }
})

test('one field too many is refused with its first byte, as many as allowed pass', () => {
  assert.equal(parse(`${'A: b\r\n'.repeat(10)}\r\n`).fields.length, 10)
  assert.equal(parse(`${'A: b\r\n'.repeat(10)}B`).result, FIELDS_TOO_MANY)
  assert.equal(parse('A: b\r\n', 0).result, FIELDS_TOO_MANY)
  assert.equal(parse('\r\n', 0).result, 2)
})

test('offsets are counted from the base', () => {
  const table = new FieldTable()
  const bytes = Buffer.from('junkGET\r\nA: b\r\n\r\n')
  assert.equal(parseFields(bytes, 9, bytes.length, 4, table, 10), bytes.length)
  table.text = bytes.latin1Slice(4)
  assert.deepEqual([table.name(0), table.value(0), table.nameStart(1)], ['A', 'b', 11])
})
