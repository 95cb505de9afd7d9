/** A parsed `traceparent` (W3C Trace Context, 3.2). Ids are lower-case hex, never all zero. */
export interface Traceparent {
  /** 32 characters. */
  readonly traceId: string
  /** 16 characters: the caller's span. */
  readonly parentId: string
  /** The caller may have recorded its span. */
  readonly sampled: boolean
}

/** Length of version 00: `00-` trace id `-` parent id `-` flags. */
const LENGTH = 55
const DASHES: readonly number[] = [2, 35, 52]

/**
 * Parses a traceparent, or returns null when it is invalid and must be dropped, `tracestate` with it. A higher version is read as far
 * as version 00 goes: it may be longer, but then with a dash at the end of what is known (W3C Trace Context 3.2.2, 4.3).
 */
export function parseTraceparent(text: string): Traceparent | null {
  if (text.length < LENGTH) return null
  for (let i = 0; i < LENGTH; i++) {
    const c = text.charCodeAt(i)
    const isHex = (c >= 0x30 && c <= 0x39) || (c >= 0x61 && c <= 0x66)
    if (!isHex && !(c === 0x2d && DASHES.includes(i))) return null
  }
  // A digit where a dash belongs: none of the ids would be what it seems to be.
  for (const at of DASHES) if (text.charCodeAt(at) !== 0x2d) return null
  if (text.startsWith('ff')) return null
  if (text.length > LENGTH && (text.startsWith('00') || text.charCodeAt(LENGTH) !== 0x2d)) return null
  const traceId = text.slice(3, 35)
  const parentId = text.slice(36, 52)
  if (traceId === '00000000000000000000000000000000' || parentId === '0000000000000000') return null
  return { traceId, parentId, sampled: (Number.parseInt(text.slice(53, 55), 16) & 1) === 1 }
}

/** Writes a traceparent of version 00, with the one flag that version knows. */
export function formatTraceparent(traceId: string, parentId: string, sampled: boolean): string {
  return `00-${traceId}-${parentId}-${sampled ? '01' : '00'}`
}
