import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOP, IDENTITY } from '../field-names.ts'
import { DROPPED, FieldTable } from '../field-table.ts'
import { FieldCache } from './field-cache.ts'
import { INCOMPLETE, parseFields } from './parse-fields.ts'

const MASKS = [DROPPED, HOP | DROPPED, HOP | IDENTITY | DROPPED]

/** Everything a reader of the table can see. */
function seen(table: FieldTable): unknown {
  const fields = Array.from({ length: table.count }, (_, i) => [
    table.name(i),
    table.value(i),
    table.ids[i],
    table.flags[i],
  ])
  return { text: table.text, fields, kept: MASKS.map((mask) => table.write(mask)) }
}

function fresh(bytes: Buffer): { stop: number; seen: unknown } {
  const table = new FieldTable()
  const stop = parseFields(bytes, 0, bytes.length, 0, table, 100)
  if (stop >= 0) table.text = bytes.toString('latin1', 0, stop)
  return { stop, seen: seen(table) }
}

test('a section is read the same whether it was remembered or not, in any order, whatever follows it', () => {
  let seed = 11
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return (seed >>> 8) % n
  }
  const names = [
    'Host',
    'Connection',
    'X-Forwarded-For',
    'x_forwarded_for',
    'Accept',
    'Cookie',
    'Content-Length',
    'Date',
  ]
  const sections = Array.from({ length: 200 }, () => {
    const lines = Array.from(
      { length: random(8) },
      () => `${names[random(names.length)]}: ${'v'.repeat(random(6))}\r\n`,
    )
    return Buffer.from(`${lines.join('')}\r\n${'b'.repeat(random(3))}`, 'latin1')
  })
  const cache = new FieldCache()
  const table = new FieldTable()
  let ran = 0
  for (; ran < 20_000; ran++) {
    const section = sections[random(sections.length)] as Buffer
    const from = random(5)
    const buf = Buffer.concat([Buffer.alloc(from, 0x41), section])
    const expected = fresh(section)
    const stop = cache.read(buf, from, buf.length, table, 100)
    assert.equal(stop - from, expected.stop)
    assert.deepEqual(seen(table), expected.seen)
    // What one exchange does to its fields must not reach the next one.
    if (random(3) === 0) table.remove('accept')
    if (random(3) === 0) table.add('X-Added', '1')
  }
  assert.equal(ran, 20_000, 'sections read')
})

test('one changed byte, also in the last line end, is never taken for the section that was remembered', () => {
  const section = Buffer.from('Host: a.test\r\nContent-Length: 5\r\nAccept: */*\r\n\r\n', 'latin1')
  let ran = 0
  for (let i = 0; i < section.length; i++) {
    for (const byte of [0x00, 0x0a, 0x0d, 0x20, 0x3a, 0x41, 0x7f, 0xff]) {
      if (section[i] === byte) continue
      const cache = new FieldCache()
      const table = new FieldTable()
      cache.read(section, 0, section.length, table, 100)
      const changed = Buffer.from(section)
      changed[i] = byte
      const expected = fresh(changed)
      assert.equal(cache.read(changed, 0, changed.length, table, 100), expected.stop)
      if (expected.stop >= 0) assert.deepEqual(seen(table), expected.seen)
      ran++
    }
  }
  assert.equal(ran, 369, 'changes tried')
})

test('a remembered section is refused where fewer fields are allowed, and awaited where its end is missing', () => {
  const section = Buffer.from('A: 1\r\nB: 2\r\n\r\n', 'latin1')
  const cache = new FieldCache()
  const table = new FieldTable()
  assert.equal(cache.read(section, 0, section.length, table, 2), section.length)
  assert.ok(cache.read(section, 0, section.length, table, 1) < 0)
  assert.equal(cache.read(section, 0, section.length - 1, table, 2), INCOMPLETE)
})

test('an exchange keeps its fields when its remembered section gives way to another one', () => {
  const cache = new FieldCache()
  const first = new FieldTable()
  const one = Buffer.from('A: 1\r\n\r\n', 'latin1')
  const two = Buffer.from('B: 2\r\n\r\n', 'latin1')
  cache.read(one, 0, one.length, first, 10)
  cache.read(one, 0, one.length, first, 10)
  const second = new FieldTable()
  cache.read(two, 0, two.length, second, 10)
  cache.read(two, 0, two.length, second, 10)
  assert.equal(second.write(DROPPED), 'B: 2\r\n')
  assert.equal(first.write(DROPPED), 'A: 1\r\n')
  assert.equal(second.write(DROPPED), 'B: 2\r\n')
})
