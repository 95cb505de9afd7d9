import { percentByte, utf8Bytes } from '../path/percent.ts'

/** Conditions on query pairs: names and values, decoded, one character a UTF-8 byte. */
export type CompiledQuery = readonly (readonly [string, string])[]

/** Prepares conditions on decoded names and values. */
export function compileQuery(pairs: readonly (readonly [string, string])[]): CompiledQuery {
  return pairs.map(([name, value]) => [utf8Bytes(name), utf8Bytes(value)] as const)
}

/**
 * Whether a raw query (without `?`) has every condition's pair, decoded as a form is (`+` is a space).
 * Of repeated names any may fit. A pair without `=` has the value ''.
 */
export function queryHolds(conditions: CompiledQuery, query: string): boolean {
  for (let i = 0; i < conditions.length; i++) if (!hasPair(query, conditions[i][0], conditions[i][1])) return false
  return true
}

function hasPair(query: string, name: string, value: string): boolean {
  for (let start = 0; start <= query.length; ) {
    let end = query.indexOf('&', start)
    if (end < 0) end = query.length
    let equals = query.indexOf('=', start)
    if (equals < 0 || equals > end) equals = end
    if (decodesTo(query, start, equals, name) && decodesTo(query, Math.min(equals + 1, end), end, value)) return true
    start = end + 1
  }
  return false
}

function decodesTo(text: string, start: number, end: number, want: string): boolean {
  let k = 0
  for (let i = start; i < end; i++, k++) {
    let c = text.charCodeAt(i)
    if (c === 0x2b) c = 0x20
    else if (c === 0x25 && i + 2 < end) {
      const byte = percentByte(text, i)
      if (byte >= 0) {
        c = byte
        i += 2
      }
    }
    if (k >= want.length || c !== want.charCodeAt(k)) return false
  }
  return k === want.length
}
