import { TOKEN } from '../char-class.ts'
import { F, HASH_START, hashEnd, hashStep, knownField } from '../field-names.ts'
import { DROPPED, type FieldTable } from '../field-table.ts'

/** Results of `parseFields` below zero. */
export const INCOMPLETE = -1
export const FIELD_INVALID = -2
export const FIELDS_TOO_MANY = -3

/**
 * Reads a header or trailer section up to and with its empty line, strictly (RFC 9112 5).
 *
 * `base` is the offset of the table's text in `buf`: offsets are stored relative to it. Field names are tokens followed
 * directly by a colon, lines end in CRLF, nothing is folded, values hold no control characters.
 * Returns the offset behind the empty line, INCOMPLETE, FIELD_INVALID or FIELDS_TOO_MANY.
 * The caller sets `table.text` afterwards; known fields are numbered and shadows of them (underscores) marked DROPPED.
 */
export function parseFields(
  buf: Uint8Array,
  from: number,
  end: number,
  base: number,
  table: FieldTable,
  maxFields: number,
): number {
  let p = from
  let count = 0
  for (;;) {
    if (p >= end) return INCOMPLETE
    if (buf[p] === 0x0d) {
      if (p + 1 >= end) return INCOMPLETE
      if (buf[p + 1] !== 0x0a) return FIELD_INVALID
      table.count = count
      table.at[count * 4] = p - base
      return p + 2
    }
    if (count >= maxFields) return FIELDS_TOO_MANY
    if (count >= table.ids.length) table.grow(count + 1)

    const nameStart = p
    let hash = HASH_START
    let underscore = false
    let c = 0
    while (p < end && TOKEN[(c = buf[p] as number)] === 1) {
      hash = hashStep(hash, c)
      if (c === 0x5f) underscore = true
      p++
    }
    if (p >= end) return INCOMPLETE
    if (c !== 0x3a || p === nameStart) return FIELD_INVALID
    const nameEnd = p++

    while (p < end && ((c = buf[p] as number) === 0x20 || c === 0x09)) p++
    const valueStart = p
    while (p < end && ((c = buf[p] as number) >= 0x20 ? c !== 0x7f : c === 0x09)) p++
    if (p + 1 >= end) return p < end && c !== 0x0d ? FIELD_INVALID : INCOMPLETE
    if (c !== 0x0d || buf[p + 1] !== 0x0a) return FIELD_INVALID
    let valueEnd = p
    while (valueEnd > valueStart && ((c = buf[valueEnd - 1] as number) === 0x20 || c === 0x09)) valueEnd--
    p += 2

    const at = count * 4
    table.at[at] = nameStart - base
    table.at[at + 1] = nameEnd - base
    table.at[at + 2] = valueStart - base
    table.at[at + 3] = valueEnd - base
    const known = knownField(hashEnd(hash), buf, nameStart, nameEnd)
    if (known === null) {
      table.ids[count] = F.other
      table.flags[count] = 0
    } else if (underscore) {
      // A shadow: CGI-like applications would read it as the field that the edge vouches for.
      table.ids[count] = F.other
      table.flags[count] = DROPPED
    } else {
      table.ids[count] = known.id
      table.flags[count] = known.flags
    }
    count++
  }
}
