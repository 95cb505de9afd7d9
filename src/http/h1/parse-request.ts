import { latin1 } from '../../base/bytes.ts'
import type { ReasonCode } from '../../base/errors.ts'
import { TARGET, TOKEN } from '../char-class.ts'
import { F } from '../field-names.ts'
import type { HeadLimits } from '../limits.ts'
import { CHUNKED, type RequestHead } from '../message.ts'
import { OPTION_CLOSE, OPTION_KEEP_ALIVE, OPTION_UPGRADE, readConnection } from './connection-options.ts'
import { parseContentLength } from './content-length.ts'
import { FieldCache } from './field-cache.ts'
import { isHost } from './host.ts'
import { FIELD_INVALID, FIELDS_TOO_MANY, INCOMPLETE } from './parse-fields.ts'

/** One for the thread, against style rule 22: it changes what reading costs, never what is read. */
const sections = new FieldCache()

/** Longest method accepted; the longest registered one has 17 characters. */
const METHOD_BYTES = 32

/**
 * Reads a request head from `buf[start, end)` into `head`, strictly (RFC 9112 2 to 6).
 *
 * Returns the offset behind the head when it is whole and sound, `null` when more bytes are needed and nothing is wrong
 * so far, or the reason to refuse it. Nothing is ever repaired: a request that two readers could frame differently is refused.
 */
export function parseRequestHead(
  buf: Buffer,
  start: number,
  end: number,
  head: RequestHead,
  limits: HeadLimits,
): number | null | ReasonCode {
  let p = start
  // RFC 9112 2.2: an empty line before the request line is ignored; more than one is not.
  if (buf[p] === 0x0d && p + 1 < end && buf[p + 1] === 0x0a) p += 2
  const base = p
  while (p < end && TOKEN[buf[p] as number] === 1) p++
  if (p - base > METHOD_BYTES) return 'request-line-invalid'
  if (p >= end) return null
  if (p === base) return buf[p] === 0x0d && p + 1 >= end ? null : 'request-line-invalid'
  if (buf[p] !== 0x20) return 'request-line-invalid'
  const methodEnd = p++
  const targetStart = p
  while (p < end && TARGET[buf[p] as number] === 1) p++
  const targetEnd = p
  if (targetEnd - targetStart > limits.urlBytes) return 'url-too-long'
  if (p >= end) return end - base > limits.headBytes ? 'header-too-large' : null
  if (buf[p] !== 0x20 || targetEnd === targetStart) return 'request-line-invalid'
  p++
  if (end - p < 10) return versionPrefix(buf, p, end) ? null : 'request-line-invalid'
  // HTTP/ DIGIT . DIGIT CRLF, case-sensitive (RFC 9112 2.3)
  if (!versionPrefix(buf, p, p + 5)) return 'request-line-invalid'
  const major = (buf[p + 5] as number) - 0x30
  const minor = (buf[p + 7] as number) - 0x30
  if (major < 0 || major > 9 || buf[p + 6] !== 0x2e || minor < 0 || minor > 9) return 'request-line-invalid'
  if (buf[p + 8] !== 0x0d || buf[p + 9] !== 0x0a) return 'request-line-invalid'
  if (major !== 1 || minor > 1) return 'version-unsupported'
  p += 10

  const fields = head.fields
  const stop = sections.read(buf, p, end, fields, limits.headers)
  if (stop < 0) {
    if (stop === INCOMPLETE) return end - base > limits.headBytes ? 'header-too-large' : null
    return stop === FIELDS_TOO_MANY ? 'header-too-many' : stop === FIELD_INVALID ? 'header-invalid' : 'internal-error'
  }
  if (stop - base > limits.headBytes) return 'header-too-large'

  head.method = methodOf(buf, base, methodEnd)
  head.target = latin1(buf, targetStart, targetEnd)
  head.minor = minor
  return interpret(head) ?? checkTarget(head) ?? stop
}

/** GET, which nearly all requests are, needs no new string. */
function methodOf(buf: Buffer, start: number, end: number): string {
  const length = end - start
  if (length === 3 && buf[start] === 0x47 && buf[start + 1] === 0x45 && buf[start + 2] === 0x54) return 'GET'
  return latin1(buf, start, end)
}

function versionPrefix(buf: Buffer, from: number, end: number): boolean {
  const expected = 'HTTP/'
  for (let i = 0; i < 5 && from + i < end; i++) if (buf[from + i] !== expected.charCodeAt(i)) return false
  return true
}

/** Framing, host and connection options from the known fields. */
function interpret(head: RequestHead): ReasonCode | null {
  const fields = head.fields
  const { ids, count } = fields
  let host = -1
  let length = -1
  let coding = -1
  let options = 0
  let upgrade = -1
  let expect = -1
  head.expectContinue = false
  head.teTrailers = false
  head.upgrade = null
  for (let i = 0; i < count; i++) {
    switch (ids[i]) {
      case F.other:
        break
      case F.host:
        if (host >= 0) return 'host-invalid'
        host = i
        break
      case F.contentLength:
        if (length >= 0) return 'framing-invalid'
        length = parseContentLength(fields.value(i))
        if (length < 0) return 'framing-invalid'
        break
      case F.transferEncoding:
        if (coding >= 0) return 'framing-invalid'
        coding = i
        break
      case F.connection:
        options |= readConnection(fields.value(i), fields)
        break
      case F.expect:
        if (expect >= 0 || fields.value(i).toLowerCase() !== '100-continue') return 'expectation-failed'
        expect = i
        break
      case F.upgrade:
        if (upgrade >= 0) return 'header-invalid'
        upgrade = i
        break
      case F.te:
        if (/(^|,)[ \t]*trailers[ \t]*(,|$)/i.test(fields.value(i))) head.teTrailers = true
        break
    }
  }
  const http11 = head.minor === 1
  if (host >= 0) {
    const value = fields.value(host)
    // The same client names the same host again and again.
    if (value === '' || (value !== head.host && !isHost(value))) return 'host-invalid'
    head.host = value
  } else {
    if (http11) return 'host-invalid'
    head.host = ''
  }
  if (coding >= 0) {
    // RFC 9112 6.1: Transfer-Encoding with Content-Length, or in HTTP/1.0, is faulty framing.
    if (length >= 0 || !http11) return 'framing-invalid'
    if (fields.value(coding).toLowerCase() !== 'chunked') return 'transfer-coding-unsupported'
    head.bodyLength = CHUNKED
  } else {
    head.bodyLength = length < 0 ? 0 : length
  }
  head.keepAlive = (options & OPTION_CLOSE) === 0 && (http11 || (options & OPTION_KEEP_ALIVE) !== 0)
  // RFC 9110 10.1.1: a server ignores 100-continue in HTTP/1.0.
  if (expect >= 0) {
    if (http11 && head.bodyLength !== 0) head.expectContinue = true
    else fields.drop(expect)
  }
  if (upgrade >= 0 && (options & OPTION_UPGRADE) !== 0 && http11 && head.bodyLength === 0) {
    head.upgrade = upgradeToken(fields.value(upgrade).toLowerCase())
  }
  return null
}

/** One protocol name; h2c is left out: a tunnel in which another HTTP version hides from every policy. */
function upgradeToken(value: string): string | null {
  return /^[!#$%&'*+\-.^_`|~0-9a-z]+(\/[!#$%&'*+\-.^_`|~0-9a-z]+)?$/.test(value) &&
    !/^(h2c?|tls|http)(\/|$)/.test(value)
    ? value
    : null
}

/** RFC 9112 3.2: origin-form, absolute-form with http(s), or `*` for OPTIONS. The path itself is judged by the path rules. */
function checkTarget(head: RequestHead): ReasonCode | null {
  const { method, target } = head
  if (method === 'CONNECT' || method === 'TRACE') return 'method-refused'
  if (target.charCodeAt(0) === 0x2f) return null
  if (target === '*') return method === 'OPTIONS' ? null : 'request-line-invalid'
  const absolute = /^https?:\/\/([^/?#]*)/i.exec(target)
  if (absolute === null) return 'request-line-invalid'
  const authority = absolute[1] as string
  if (!isHost(authority)) return 'host-invalid'
  // RFC 9112 3.2.2: the target's authority replaces Host.
  head.host = authority
  return null
}
