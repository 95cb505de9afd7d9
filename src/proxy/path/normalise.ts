import type { ReasonCode } from '../../base/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import { PathBytes } from './path-bytes.ts'
import { ENCODED, isControl, isOverlong, PATH_PLAIN, percentByte, UNRESERVED } from './percent.ts'
import { splitTarget } from './split-target.ts'

/** A path in normal form, or the best that can be made of one that is refused. */
export interface NormalPath {
  readonly path: string
  /** `path-invalid`, or null when the path may be forwarded. */
  readonly refusal: ReasonCode | null
}

/**
 * Sets `path`, `query`, `hasQuery` and `pathRefusal` of an exchange from its request target.
 *
 * The path is the normal form of `normalisePath`; the query stays byte for byte. `*` is kept for OPTIONS (RFC 9112 3.2.4).
 * A refused target still gets a path, so that the route's firewall sees the request before it is answered.
 */
export function readTarget(exchange: Exchange): void {
  const target = exchange.request.target
  if (target.charCodeAt(0) === 0x2f) readOrigin(exchange, target)
  else readOther(exchange, target)
}

/**
 * Makes the normal form of a path that begins with `/` and ends before `?`: the one spelling that is routed and forwarded.
 *
 * Percent-encodings of unreserved characters are decoded and the others upper-cased; what RFC 3986 does not allow in a
 * path is encoded; dot segments are resolved and slashes merged. Encodings of reserved characters and `;` stay as they
 * are (`readings.ts` looks at what else they could mean). The result always has the form of RFC 3986 path-absolute.
 *
 * Refused with `path-invalid`: broken percent-encoding, control characters, raw `\` and `#`, overlong UTF-8, and paths
 * that climb above the root.
 */
export function normalisePath(raw: string): NormalPath {
  const coded = recode(raw)
  const path = coded.path
  if (path.indexOf('//') < 0 && path.indexOf('/.') < 0) return coded
  return resolve(path, coded.refusal)
}

/** Rewrites the characters of a path, or of a piece of one, into their normal spelling; segments stay as they are. */
export function recode(raw: string): NormalPath {
  let out = ''
  let kept = 0
  let previous = 0
  let refusal: ReasonCode | null = null
  for (let i = 0; i < raw.length; i++) {
    const c = raw.charCodeAt(i)
    if (c < 256 && PATH_PLAIN[c] === 1) {
      previous = 0
      continue
    }
    out += raw.slice(kept, i)
    let byte = c
    let spelling = ENCODED[c & 0xff]
    if (c === 0x25) {
      byte = percentByte(raw, i)
      if (byte >= 0) {
        spelling = UNRESERVED[byte] === 1 ? String.fromCharCode(byte) : ENCODED[byte]
        i += 2
      }
    } else if (c === 0x5c || c === 0x23) byte = -1
    if (byte < 0 || byte > 0xff || isControl(byte) || isOverlong(previous, byte)) refusal = 'path-invalid'
    out += spelling
    previous = byte
    kept = i + 1
  }
  return { path: kept === 0 ? raw : out + raw.slice(kept), refusal }
}

const PLAIN = 0
const SLASH = 1
const QUESTION = 2
const SPECIAL = 3
const CLASS: Uint8Array = PATH_PLAIN.map((plain) => (plain === 1 ? PLAIN : SPECIAL))
CLASS[0x2f] = SLASH
CLASS[0x3f] = QUESTION

/** Scratch space (rule 22): filled and read within one call, so that nothing is kept from request to request. */
const scratch = new PathBytes()

/** One pass over a path in which nothing is special, which is the usual case: the path is then a slice of the target. */
function readOrigin(exchange: Exchange, target: string): void {
  const length = target.length
  const bytes = scratch.load(target)
  let end = 0
  let plain = true
  for (; end < length; end++) {
    const kind = CLASS[bytes[end]]
    if (kind === PLAIN) continue
    if (kind === SLASH && !startsSpecial(bytes, end + 1, length)) continue
    if (kind !== QUESTION) {
      plain = false
      end = target.indexOf('?', end)
      if (end < 0) end = length
    }
    break
  }
  const raw = end === length ? target : target.slice(0, end)
  if (plain) exchange.path = raw
  else setNormal(exchange, raw)
  if (end < length) setQuery(exchange, target, end)
}

/** Whether what follows a slash is another one, or may be a dot segment; `/.well-known` is neither. */
function startsSpecial(bytes: Uint8Array, at: number, length: number): boolean {
  if (at >= length) return false
  if (bytes[at] !== 0x2e) return bytes[at] === 0x2f
  return at + 1 === length || bytes[at + 1] === 0x2f || bytes[at + 1] === 0x2e || bytes[at + 1] === 0x3f
}

function setNormal(exchange: Exchange, raw: string): void {
  const normal = normalisePath(raw)
  exchange.path = normal.path
  exchange.pathRefusal = normal.refusal
}

function setQuery(exchange: Exchange, target: string, question: number): void {
  exchange.hasQuery = true
  exchange.query = target.slice(question + 1)
  // A fragment never belongs into a request; endpoints that cut it there see another query than we do.
  if (exchange.query.indexOf('#') >= 0) exchange.pathRefusal = 'path-invalid'
}

function readOther(exchange: Exchange, target: string): void {
  const options = exchange.request.method === 'OPTIONS'
  const { scheme, authority, pathAndQuery } = splitTarget(target)
  // RFC 9110 7.1: OPTIONS of an absolute target without a path asks about the server, as `*` does.
  if (options && (target === '*' || (scheme !== null && pathAndQuery === ''))) {
    exchange.path = '*'
  } else if (scheme !== null && (pathAndQuery === '' || pathAndQuery.charCodeAt(0) === 0x3f)) {
    readOrigin(exchange, `/${pathAndQuery}`)
  } else if (pathAndQuery.charCodeAt(0) === 0x2f) {
    readOrigin(exchange, pathAndQuery)
  } else {
    readOrigin(exchange, `/${pathAndQuery}`)
    exchange.pathRefusal = 'path-invalid'
  }
  // Browsers' URL rules take a backslash for the slash that ends the authority: they would see another path.
  if (authority?.includes('\\')) exchange.pathRefusal = 'path-invalid'
}

/** RFC 3986 5.2.4, with empty segments dropped: endpoints differ on `//`, so none is sent. */
function resolve(path: string, refusal: ReasonCode | null): NormalPath {
  const kept: string[] = []
  const segments = path.split('/')
  const last = segments.length - 1
  for (let i = 1; i <= last; i++) {
    const segment = segments[i]
    if (segment === '..') {
      if (kept.length === 0) refusal = 'path-invalid'
      kept.pop()
    } else if (segment !== '.' && segment !== '') {
      kept.push(segment)
      continue
    }
    if (i === last) kept.push('')
  }
  return { path: `/${kept.join('/')}`, refusal }
}
