import { ENCODED, INERT, isControl, isOverlong, PATH_PLAIN, percentByte } from './percent.ts'

/** Decodings that are tried; a path that could be decoded once more is refused. */
const MAX_LEVELS = 3
/** Readings that are made of one path; a path with more is refused. Bounds the work on hostile paths. */
const MAX_READINGS = 8

/** Stand for a slash and a backslash that were percent-encoded: separators to some endpoints, text to others. */
const CODED_SLASH = '\u012f'
const CODED_BACKSLASH = '\u015c'

/**
 * The spelling of a normal path under which its route is looked up: encodings that mean nothing for the shape of the
 * path and that every endpoint decodes (`%40`, `%2B`, …) are plain in it. Has as many segments as the path.
 */
export function routingKey(path: string): string {
  let out = ''
  let kept = 0
  for (let i = path.indexOf('%'); i >= 0; i = path.indexOf('%', i + 1)) {
    const byte = percentByte(path, i)
    if (byte < 0 || INERT[byte] === 0) continue
    out += path.slice(kept, i) + String.fromCharCode(byte)
    kept = i + 3
  }
  return kept === 0 ? path : out + path.slice(kept)
}

/** Whether an endpoint could read a normal path in another way: it has `;` or an encoded `/ \ ; % ? #`. */
export function hasReadings(path: string): boolean {
  if (path.indexOf(';') >= 0) return true
  for (let i = path.indexOf('%'); i >= 0; i = path.indexOf('%', i + 1))
    if (SHAPING[percentByte(path, i)] === 1) return true
  return false
}

/**
 * The other paths that an endpoint could see in a normal path, as routing keys; at most 8.
 *
 * An endpoint may decode once or several times, take encoded slashes and backslashes for separators or for text, drop
 * `;parameters` of segments, and cut the path at a `?` or `#` it decoded. Null means that the path must be refused
 * without asking the router: a reading has dot segments, control characters or overlong UTF-8, or there are too many.
 */
export function readingsOf(path: string): string[] | null {
  const readings: string[] = []
  let made = 0
  let text = path
  for (let level = 1; ; level++) {
    const decoded = decode(text)
    if (decoded === null) return null
    if (level > 1 && decoded === text) return readings
    if (level > MAX_LEVELS) return null
    text = decoded
    const slash = text.indexOf(CODED_SLASH) >= 0
    const backslash = text.indexOf(CODED_BACKSLASH) >= 0
    const parameters = text.indexOf(';') >= 0
    const cut = endOfPath(text)
    for (let split = 0; split < 4; split++) {
      if (((split & 1) !== 0 && !slash) || ((split & 2) !== 0 && !backslash)) continue
      const whole = separate(text, split)
      for (let variant = 0; variant < 3; variant++) {
        if ((variant === 1 && !parameters) || (variant === 2 && cut === text.length)) continue
        if (++made > MAX_READINGS) return null
        // `separate` replaces character by character, so the cut stays where it is.
        const reading = canonical(variant === 2 ? whole.slice(0, cut) : whole, variant > 0)
        if (reading === null) return null
        if (!readings.includes(reading)) readings.push(reading)
      }
    }
  }
}

const SHAPING = new Uint8Array(256)
for (const char of '/\\;%?#') SHAPING[char.charCodeAt(0)] = 1

/** Decodes every valid `%XX` once; null if that brings forth what no path may hold. */
function decode(text: string): string | null {
  let out = ''
  let kept = 0
  let previous = 0
  for (let i = 0; i < text.length; i++) {
    let c = text.charCodeAt(i)
    if (c === 0x25) {
      const byte = percentByte(text, i)
      if (byte >= 0) {
        if (isControl(byte)) return null
        out += text.slice(kept, i) + decodedChar(byte)
        i += 2
        kept = i + 1
        c = byte
      }
    }
    if (c < 0x100 && isOverlong(previous, c)) return null
    previous = c
  }
  return kept === 0 ? text : out + text.slice(kept)
}

function decodedChar(byte: number): string {
  if (byte === 0x2f) return CODED_SLASH
  return byte === 0x5c ? CODED_BACKSLASH : String.fromCharCode(byte)
}

function endOfPath(text: string): number {
  const question = text.indexOf('?')
  const hash = text.indexOf('#')
  if (question < 0) return hash < 0 ? text.length : hash
  return hash < 0 ? question : Math.min(question, hash)
}

function separate(text: string, split: number): string {
  const slashes = (split & 1) === 0 ? text : text.replaceAll(CODED_SLASH, '/')
  return (split & 2) === 0 ? slashes : slashes.replaceAll(CODED_BACKSLASH, '/')
}

/** A decoded text as a routing key, slashes merged; null if it has dot segments, which we could only guess to resolve. */
function canonical(text: string, stripParameters: boolean): string | null {
  const segments = text.split('/')
  const last = segments.length - 1
  let key = ''
  for (let i = 1; i <= last; i++) {
    let segment = segments[i]
    if (stripParameters) {
      const semicolon = segment.indexOf(';')
      if (semicolon >= 0) segment = segment.slice(0, semicolon)
    }
    if (segment === '.' || segment === '..') return null
    if (segment !== '' || i === last) key += `/${encodeSegment(segment)}`
  }
  return key === '' ? '/' : key
}

function encodeSegment(segment: string): string {
  let out = ''
  let kept = 0
  for (let i = 0; i < segment.length; i++) {
    const c = segment.charCodeAt(i)
    if (c < 0x100 && PATH_PLAIN[c] === 1) continue
    const spelling = c < 0x100 ? ENCODED[c] : segment[i] === CODED_SLASH ? '%2F' : '%5C'
    out += segment.slice(kept, i) + spelling
    kept = i + 1
  }
  return kept === 0 ? segment : out + segment.slice(kept)
}
