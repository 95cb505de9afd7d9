import { latin1 } from '../../base/bytes.ts'
import { VALUE } from '../char-class.ts'
import { F } from '../field-names.ts'
import { RESPONSE_HEAD_BYTES, RESPONSE_HEADERS } from '../limits.ts'
import { CHUNKED, type ResponseHead, UNTIL_CLOSE } from '../message.ts'
import { OPTION_CLOSE, OPTION_KEEP_ALIVE, readConnection } from './connection-options.ts'
import { parseContentLength } from './content-length.ts'
import { FieldCache } from './field-cache.ts'
import { INCOMPLETE } from './parse-fields.ts'

/** One for the thread, against style rule 22: it changes what reading costs, never what is read. */
const sections = new FieldCache()

/** Result of `parseResponseHead` for a head that may not be used. */
export const RESPONSE_INVALID = -2

/**
 * Reads a response head from `buf[start, end)` into `head`, strictly (RFC 9112 4 to 6).
 *
 * `noBody` says that the request was HEAD, so that no body follows. Returns the offset behind the head, INCOMPLETE or
 * RESPONSE_INVALID. An endpoint whose framing is in doubt is not believed: what it sent cannot be told from the next answer.
 */
export function parseResponseHead(
  buf: Buffer,
  start: number,
  end: number,
  head: ResponseHead,
  noBody: boolean,
): number {
  // HTTP/1.x SP 3DIGIT [SP reason] CRLF
  const available = end - start
  for (let i = 0; i < 7 && i < available; i++) if (buf[start + i] !== VERSION.charCodeAt(i)) return RESPONSE_INVALID
  if (available < 13) return INCOMPLETE
  const minor = (buf[start + 7] as number) - 0x30
  if ((minor !== 0 && minor !== 1) || buf[start + 8] !== 0x20) return RESPONSE_INVALID
  const a = (buf[start + 9] as number) - 0x30
  const b = (buf[start + 10] as number) - 0x30
  const c = (buf[start + 11] as number) - 0x30
  if (a < 1 || a > 9 || b < 0 || b > 9 || c < 0 || c > 9) return RESPONSE_INVALID
  let p = start + 12
  if (buf[p] === 0x20) p++
  else if (buf[p] !== 0x0d) return RESPONSE_INVALID
  const reasonStart = p
  while (p < end && VALUE[buf[p] as number] === 1) p++
  const reasonEnd = p
  if (p + 1 >= end) {
    if (p < end && buf[p] !== 0x0d) return RESPONSE_INVALID
    return available > RESPONSE_HEAD_BYTES ? RESPONSE_INVALID : INCOMPLETE
  }
  if (buf[p] !== 0x0d || buf[p + 1] !== 0x0a) return RESPONSE_INVALID

  const fields = head.fields
  const stop = sections.read(buf, p + 2, end, fields, RESPONSE_HEADERS)
  if (stop < 0) return stop === INCOMPLETE && available <= RESPONSE_HEAD_BYTES ? INCOMPLETE : RESPONSE_INVALID
  if (stop - start > RESPONSE_HEAD_BYTES) return RESPONSE_INVALID
  head.status = a * 100 + b * 10 + c
  head.reason = reasonOf(buf, reasonStart, reasonEnd)
  head.minor = minor
  return interpret(head, noBody) ? stop : RESPONSE_INVALID
}

const VERSION = 'HTTP/1.'

function reasonOf(buf: Buffer, start: number, end: number): string {
  if (end - start === 2 && buf[start] === 0x4f && buf[start + 1] === 0x4b) return 'OK'
  return latin1(buf, start, end)
}

/** Length of the body (RFC 9112 6.3) and connection options; false when the framing is in doubt. */
function interpret(head: ResponseHead, noBody: boolean): boolean {
  const fields = head.fields
  const { ids, count } = fields
  let length = -1
  let coding = -1
  let options = 0
  head.upgrade = null
  head.dated = false
  head.contentType = -1
  for (let i = 0; i < count; i++) {
    switch (ids[i]) {
      case F.other:
        break
      case F.contentLength:
        if (length >= 0) return false
        length = parseContentLength(fields.value(i))
        if (length < 0) return false
        break
      case F.transferEncoding:
        if (coding >= 0) return false
        coding = i
        break
      case F.connection:
        options |= readConnection(fields.value(i), fields)
        break
      case F.date:
        head.dated = true
        break
      case F.contentType:
        head.contentType = i
        break
      case F.upgrade:
        head.upgrade = fields.value(i).toLowerCase()
        break
    }
  }
  const { status, minor } = head
  head.keepAlive = (options & OPTION_CLOSE) === 0 && (minor === 1 || (options & OPTION_KEEP_ALIVE) !== 0)
  head.contentLength = length
  if (coding >= 0 && (length >= 0 || minor === 0 || fields.value(coding).toLowerCase() !== 'chunked')) return false
  if (noBody || status < 200 || status === 204 || status === 304) {
    // RFC 9112 6.1: neither may announce a coding, nor 204 and 1xx a length.
    if ((status < 200 || status === 204) && (coding >= 0 || length > 0)) return false
    head.bodyLength = 0
  } else if (coding >= 0) {
    head.bodyLength = CHUNKED
  } else if (length >= 0) {
    head.bodyLength = length
  } else {
    head.bodyLength = UNTIL_CLOSE
    head.keepAlive = false
  }
  return true
}
