import { flat } from '../base/bytes.ts'
import { F, knownFieldByName } from './field-names.ts'

/**
 * The header section of one message, as offsets into its text: nothing is copied until somebody asks for a value.
 *
 * `text` is the section with its empty line, as a one-byte string. Field `i` has its name in
 * `[nameStart(i), nameEnd(i))` and its value without surrounding white space in `[valueStart(i), valueEnd(i))`;
 * its line runs to `nameStart(i + 1)`. A table is reused for message after message.
 */
export class FieldTable {
  text = ''
  count = 0
  /** Four offsets a field: name start, name end, value start, value end; one more entry holds the end of the last line. */
  at: Int32Array = new Int32Array(32 * 4 + 1)
  /** Field number of each field (`F` in field-names.ts). */
  ids: Uint8Array = new Uint8Array(32)
  /** `HOP`, `IDENTITY` and `DROPPED` bits of each field. */
  flags: Uint8Array = new Uint8Array(32)
  /** Field lines added by policies, each ending in CRLF; written after the kept ones. */
  added = ''
  /** The remembered section that this one is equal to, while nothing was dropped from it; else null. */
  shared: SharedSection | null = null

  reset(text: string): void {
    this.text = text
    this.count = 0
    this.added = ''
    this.shared = null
  }

  /** Becomes the remembered section. */
  take(section: SharedSection): void {
    const { count } = section
    if (count > this.ids.length) this.grow(count)
    for (let i = 0; i <= count * 4; i++) this.at[i] = section.at[i] as number
    for (let i = 0; i < count; i++) {
      this.ids[i] = section.ids[i] as number
      this.flags[i] = section.flags[i] as number
    }
    this.text = section.text
    this.count = count
    this.added = ''
    this.shared = section
  }

  /** Makes room for `count` fields. */
  grow(count: number): void {
    const size = Math.max(count, this.ids.length * 2)
    const at = new Int32Array(size * 4 + 1)
    at.set(this.at)
    this.at = at
    const ids = new Uint8Array(size)
    ids.set(this.ids)
    this.ids = ids
    const flags = new Uint8Array(size)
    flags.set(this.flags)
    this.flags = flags
  }

  nameStart(i: number): number {
    return this.at[i * 4] as number
  }

  /** The name as sent. */
  name(i: number): string {
    return this.text.slice(this.at[i * 4], this.at[i * 4 + 1])
  }

  value(i: number): string {
    return this.text.slice(this.at[i * 4 + 2], this.at[i * 4 + 3])
  }

  /** Index of the first field that is `name` (lower case) and was not dropped, from `from` on; -1 if there is none. */
  find(name: string, from = 0): number {
    const length = name.length
    for (let i = from; i < this.count; i++) {
      const start = this.at[i * 4] as number
      if ((this.at[i * 4 + 1] as number) - start !== length || ((this.flags[i] as number) & DROPPED) !== 0) continue
      if (this.#nameIs(start, name)) return i
    }
    return -1
  }

  /** Index of the first field with this number, -1 if there is none. */
  findId(id: number): number {
    for (let i = 0; i < this.count; i++) if (this.ids[i] === id) return i
    return -1
  }

  /** All values of a field (lower-case name) joined by `, ` (RFC 9110 5.2); null if there is none. Added fields count. */
  get(name: string): string | null {
    let i = this.find(name)
    let all: string | null = null
    while (i >= 0) {
      all = all === null ? this.value(i) : `${all}, ${this.value(i)}`
      i = this.find(name, i + 1)
    }
    if (this.added !== '') {
      for (const line of this.added.split('\r\n')) {
        const colon = line.indexOf(': ')
        if (colon === name.length && line.slice(0, colon).toLowerCase() === name) {
          all = all === null ? line.slice(colon + 2) : `${all}, ${line.slice(colon + 2)}`
        }
      }
    }
    return all
  }

  /** Drops every field of that (lower-case) name, added ones too: it is not written on. */
  remove(name: string): void {
    for (let i = this.find(name); i >= 0; i = this.find(name, i + 1))
      this.flags[i] = (this.flags[i] as number) | DROPPED
    if (this.added === '') return
    let kept = ''
    for (const line of this.added.split('\r\n')) {
      if (line !== '' && line.slice(0, line.indexOf(':')).toLowerCase() !== name) kept += `${line}\r\n`
    }
    this.added = kept
  }

  /** Drops one field. */
  drop(i: number): void {
    this.flags[i] = (this.flags[i] as number) | DROPPED
    this.shared = null
  }

  /**
   * Adds a field line. Name and value must be valid (RFC 9110 5.1, 5.5): callers check what is not a constant
   * with `isFieldValue`.
   */
  add(name: string, value: string): void {
    this.added += `${name}: ${value}\r\n`
  }

  /** Replaces every field of that name by one line. */
  set(name: string, value: string): void {
    this.remove(name.toLowerCase())
    this.add(name, value)
  }

  /** The lines that are kept, verbatim: those with none of the bits in `dropMask`, then the added ones. */
  write(dropMask: number): string {
    const { shared } = this
    let kept: string
    // The entry may have been given to another section since.
    if (shared !== null && shared.text === this.text) {
      if (shared.keptMask !== dropMask) {
        shared.kept = flat(this.#kept(dropMask))
        shared.keptMask = dropMask
      }
      kept = shared.kept
    } else {
      kept = this.#kept(dropMask)
    }
    return this.added === '' ? kept : kept + this.added
  }

  #kept(dropMask: number): string {
    const { at, flags, count, text } = this
    let out = ''
    let runStart = -1
    for (let i = 0; i < count; i++) {
      if (((flags[i] as number) & dropMask) === 0) {
        if (runStart < 0) runStart = at[i * 4] as number
      } else if (runStart >= 0) {
        out += text.slice(runStart, at[i * 4])
        runStart = -1
      }
    }
    if (runStart >= 0) out += text.slice(runStart, at[count * 4])
    return out
  }

  #nameIs(start: number, name: string): boolean {
    const text = this.text
    for (let k = 0; k < name.length; k++) {
      const c = text.charCodeAt(start + k)
      const lower = c >= 0x41 && c <= 0x5a ? c | 0x20 : c
      if (lower !== name.charCodeAt(k)) return false
    }
    return true
  }
}

/** A header section that was read before, with what was made of it: for `FieldCache` and `FieldTable`. */
export class SharedSection {
  readonly bytes: Buffer
  /** Bytes of the section, 0 while there is none. */
  length = 0
  text = ''
  count = 0
  readonly at: Int32Array
  readonly ids: Uint8Array
  readonly flags: Uint8Array
  /** Result of `write` for `keptMask`; -1 when nothing was written yet. */
  kept = ''
  keptMask = -1

  constructor(bytes: number, fields: number) {
    this.bytes = Buffer.allocUnsafeSlow(bytes)
    this.at = new Int32Array(fields * 4 + 1)
    this.ids = new Uint8Array(fields)
    this.flags = new Uint8Array(fields)
  }

  /** Keeps the section in `buf[from, end)` as `table` has just read it. */
  remember(buf: Buffer, from: number, end: number, table: FieldTable): void {
    buf.copy(this.bytes, 0, from, end)
    this.length = end - from
    this.text = table.text
    this.count = table.count
    for (let i = 0; i <= table.count * 4; i++) this.at[i] = table.at[i] as number
    for (let i = 0; i < table.count; i++) {
      this.ids[i] = table.ids[i] as number
      this.flags[i] = table.flags[i] as number
    }
    this.kept = ''
    this.keptMask = -1
  }
}

/** Bit of a field that must not be written on. */
export const DROPPED = 4

/** Whether text may stand as a field value: no control characters but tab, no byte above 0xFF (RFC 9110 5.5). */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if ((c < 0x20 && c !== 0x09) || c === 0x7f || c > 0xff) return false
  }
  return true
}

/** Builds a table from lines, for tests and for answers made at load time. */
export function fieldTableOf(fields: readonly (readonly [string, string])[]): FieldTable {
  const table = new FieldTable()
  let text = ''
  if (fields.length > table.ids.length) table.grow(fields.length)
  for (const [i, [name, value]] of fields.entries()) {
    const start = text.length
    text += `${name}: ${value}\r\n`
    table.at.set([start, start + name.length, start + name.length + 2, start + name.length + 2 + value.length], i * 4)
    const known = knownFieldByName(name)
    table.ids[i] = known?.id ?? F.other
    table.flags[i] = known?.flags ?? 0
  }
  table.text = `${text}\r\n`
  table.count = fields.length
  table.at[fields.length * 4] = text.length
  return table
}
