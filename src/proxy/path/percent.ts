/**
 * Percent-encoding (RFC 3986 2.1) as tables, indexed by byte, so that the path code compares numbers.
 */

const SUB_DELIMS = "!$&'()*+,;="

/** 1 for the unreserved characters of RFC 3986 2.3: their encoded and plain spellings are the same URL. */
export const UNRESERVED: Uint8Array = tableOf('-._~', true)

/** 1 for what may stand in a path as it is (RFC 3986 3.3, pchar) and for `/`; `%` is not among them. */
export const PATH_PLAIN: Uint8Array = tableOf(`-._~:@/${SUB_DELIMS}`, true)

/**
 * 1 for the characters that endpoints read alike in both spellings and that have no meaning for the shape of a path:
 * the sub-delimiters without `;`, and `:` and `@`.
 */
export const INERT: Uint8Array = tableOf(`:@${SUB_DELIMS.replace(';', '')}`, false)

/** `%00` to `%FF`. */
export const ENCODED: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
)

/** The byte written as `%XX` at `text[at]`, 0 to 255; -1 if two hex digits do not follow. */
export function percentByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at + 1))
  const low = hexDigit(text.charCodeAt(at + 2))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

/** Whether a byte may not stand in a path in any spelling: C0 controls and DEL. */
export function isControl(byte: number): boolean {
  return byte < 0x20 || byte === 0x7f
}

/**
 * Whether `byte` after `previous` cannot be UTF-8 but is an overlong spelling or a lead that does not exist
 * (RFC 3629 3 and 10): decoders that accept it read `%C0%AF` as a slash. Latin-1 texts mostly pass.
 */
export function isOverlong(previous: number, byte: number): boolean {
  if (byte === 0xc0 || byte === 0xc1 || byte >= 0xf5) return true
  if (previous === 0xe0) return byte >= 0x80 && byte < 0xa0
  if (previous === 0xf0) return byte >= 0x80 && byte < 0x90
  return false
}

/** Text of a configuration as the bytes that a client would send, one character a byte. Load time only. */
export function utf8Bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

function hexDigit(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30
  const lower = c | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function tableOf(marks: string, alphanumeric: boolean): Uint8Array {
  const table = new Uint8Array(256)
  for (let byte = 0; byte < 256; byte++) {
    const char = String.fromCharCode(byte)
    if (marks.includes(char) || (alphanumeric && /[A-Za-z0-9]/.test(char))) table[byte] = 1
  }
  return table
}
