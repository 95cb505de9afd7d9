import { latin1 } from '../../base/bytes.ts'
import { type FieldTable, SharedSection } from '../field-table.ts'
import { parseFields } from './parse-fields.ts'

const ENTRIES = 32
/** Longer sections, and those with more fields, are not remembered. */
const SECTION_BYTES = 4096
const SECTION_FIELDS = 64

/**
 * Reads header sections, and remembers the last ones: a client, and an endpoint within a second, sends the same bytes
 * again and again, and comparing them costs a tenth of reading them.
 *
 * A section is taken for a known one only when every byte up to and with its empty line is the same, so what is read is
 * the same whether it was remembered or not.
 */
export class FieldCache {
  readonly #entries: SharedSection[] = Array.from(
    { length: ENTRIES },
    () => new SharedSection(SECTION_BYTES, SECTION_FIELDS),
  )

  /** As `parseFields`, with offsets relative to `from`; sets `table.text` to the section as well. */
  read(buf: Buffer, from: number, end: number, table: FieldTable, maxFields: number): number {
    // Where nothing follows the head, the number of bytes at hand tells sections of different senders apart.
    const entry = this.#entries[(end - from) % ENTRIES] as SharedSection
    const { length } = entry
    if (length > 0 && length <= end - from && entry.count <= maxFields) {
      if (buf.compare(entry.bytes, 0, length, from, from + length) === 0) {
        table.take(entry)
        return from + length
      }
    }
    const stop = parseFields(buf, from, end, from, table, maxFields)
    if (stop < 0) return stop
    table.text = latin1(buf, from, stop)
    table.added = ''
    table.shared = null
    if (stop - from <= SECTION_BYTES && table.count <= SECTION_FIELDS) entry.remember(buf, from, stop, table)
    return stop
  }
}
