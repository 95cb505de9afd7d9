import { latin1 } from '../../base/bytes.ts'
import { HEX, VALUE } from '../char-class.ts'
import { knownFieldByName } from '../field-names.ts'
import { FieldTable } from '../field-table.ts'
import { CHUNK_EXTENSION_BYTES, TRAILER_BYTES } from '../limits.ts'
import { INCOMPLETE, parseFields } from './parse-fields.ts'

/** What `next` found. */
export const CHUNK_MORE = 0
export const CHUNK_DATA = 1
export const CHUNK_DONE = 2
export const CHUNK_INVALID = 3
export const TRAILER_INVALID = 4

const SIZE = 0
const EXTENSION = 1
const SIZE_LF = 2
const DATA = 3
const DATA_CR = 4
const DATA_LF = 5
const TRAILER = 6
const DONE = 7

/** Significant digits of a chunk size: 2^48 bytes are more than any body limit. */
const SIZE_DIGITS = 12

/**
 * Reads a body in the chunked coding, strictly (RFC 9112 7.1): plain hexadecimal sizes, CRLF at every line end, no white
 * space; extensions are read over within a bound; trailers obey the rules of fields.
 *
 * Call `next` again and again with the bytes at hand: it stops at each piece of data (`dataStart`, `dataEnd` in the
 * buffer given, valid until the next read), at the end and at the first fault. `position` is where it stopped.
 */
export class ChunkDecoder {
  position = 0
  dataStart = 0
  dataEnd = 0
  /** Field lines of the trailer section that may be passed on, each ending in CRLF. Set when CHUNK_DONE was returned. */
  trailers = ''
  #state = SIZE
  #digits = 0
  #left = 0
  #extensionBytes = 0
  #trailerBytes: Buffer | null = null

  /** Bytes of the chunk under way that are still to come; with CHUNK_DATA, behind the piece found. */
  get chunkLeft(): number {
    return this.#left
  }

  reset(): void {
    this.trailers = ''
    this.#state = SIZE
    this.#digits = 0
    this.#left = 0
    this.#extensionBytes = 0
    this.#trailerBytes = null
  }

  next(buf: Buffer, from: number, end: number): number {
    let p = from
    for (;;) {
      if (p >= end) return this.#stop(p, CHUNK_MORE)
      const c = buf[p] as number
      switch (this.#state) {
        case SIZE: {
          const digit = HEX[c] as number
          if (digit < 16) {
            this.#left = this.#left * 16 + digit
            if (++this.#digits > 16 || this.#left >= 16 ** SIZE_DIGITS) return this.#stop(p, CHUNK_INVALID)
          } else if (this.#digits === 0) return this.#stop(p, CHUNK_INVALID)
          else if (c === 0x0d) this.#state = SIZE_LF
          else if (c === 0x3b) this.#state = EXTENSION
          else return this.#stop(p, CHUNK_INVALID)
          p++
          break
        }
        case EXTENSION:
          if (c === 0x0d) this.#state = SIZE_LF
          else if (VALUE[c] === 0 || ++this.#extensionBytes > CHUNK_EXTENSION_BYTES) return this.#stop(p, CHUNK_INVALID)
          p++
          break
        case SIZE_LF:
          if (c !== 0x0a) return this.#stop(p, CHUNK_INVALID)
          this.#state = this.#left === 0 ? TRAILER : DATA
          this.#digits = 0
          p++
          break
        case DATA: {
          const take = Math.min(this.#left, end - p)
          this.dataStart = p
          this.dataEnd = p + take
          this.#left -= take
          if (this.#left === 0) this.#state = DATA_CR
          return this.#stop(p + take, CHUNK_DATA)
        }
        case DATA_CR:
          if (c !== 0x0d) return this.#stop(p, CHUNK_INVALID)
          this.#state = DATA_LF
          p++
          break
        case DATA_LF:
          if (c !== 0x0a) return this.#stop(p, CHUNK_INVALID)
          this.#state = SIZE
          p++
          break
        case TRAILER:
          return this.#trailer(buf, p, end)
        default:
          return this.#stop(p, CHUNK_DONE)
      }
    }
  }

  #stop(position: number, result: number): number {
    this.position = position
    return result
  }

  #trailer(buf: Buffer, from: number, end: number): number {
    if (this.#trailerBytes === null && buf[from] === 0x0d) {
      // Nearly always there is none.
      if (from + 1 < end) {
        if (buf[from + 1] !== 0x0a) return this.#stop(from, TRAILER_INVALID)
        this.#state = DONE
        return this.#stop(from + 2, CHUNK_DONE)
      }
    }
    const held = this.#trailerBytes
    const heldBytes = held === null ? 0 : held.length
    const take = Math.min(end - from, TRAILER_BYTES + 1 - heldBytes)
    const part = buf.subarray(from, from + take)
    const bytes = held === null ? Buffer.from(part) : Buffer.concat([held, part])
    const table = new FieldTable()
    const stop = parseFields(bytes, 0, bytes.length, 0, table, 64)
    if (stop === INCOMPLETE) {
      if (bytes.length > TRAILER_BYTES) return this.#stop(from, TRAILER_INVALID)
      this.#trailerBytes = bytes
      return this.#stop(from + take, CHUNK_MORE)
    }
    if (stop < 0) return this.#stop(from, TRAILER_INVALID)
    table.text = latin1(bytes, 0, stop)
    this.trailers = forwardableTrailers(table)
    this.#trailerBytes = null
    this.#state = DONE
    return this.#stop(from + stop - heldBytes, CHUNK_DONE)
  }
}

/**
 * Trailer fields that may be passed on: nothing that frames, routes, authenticates or describes the content, since a
 * recipient may merge trailers into the header section (RFC 9110 6.5.1).
 */
function forwardableTrailers(table: FieldTable): string {
  let out = ''
  for (let i = 0; i < table.count; i++) {
    const name = table.name(i).toLowerCase()
    if (knownFieldByName(name) !== null || name.includes('_') || FORBIDDEN_TRAILERS.test(name)) continue
    out += `${table.name(i)}: ${table.value(i)}\r\n`
  }
  return out
}

const FORBIDDEN_TRAILERS =
  /^(authorization|proxy-.*|www-authenticate|cookie|set-cookie|content-.*|cache-control|max-forwards|range|if-.*|age|expires|location|retry-after|vary|warning|pragma|signature|signature-input|x-.*-secret|x-api-key)$/
