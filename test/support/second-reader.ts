/**
 * A second reader of HTTP/1.1 messages, written from RFC 9112 in another way than the edge's: on strings, line by line,
 * without tables or states. Slow and plain on purpose; tests hold the two against each other.
 */

export interface Message {
  readonly startLine: string
  readonly fields: readonly (readonly [string, string])[]
  /** Without framing. */
  readonly body: string
  readonly trailers: readonly (readonly [string, string])[]
  /** Characters of the whole message. */
  readonly length: number
  readonly framing: 'none' | 'length' | 'chunked' | 'close'
}

/** `more`: what came is a sound beginning or cannot be judged yet. */
export type Reading = Message | 'more' | 'invalid'

const FIELD_LINE = /^([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)[ \t]*$/
const REQUEST_LINE = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+ [^\x00-\x20\x7f]+ HTTP\/1\.[01]$/
const STATUS_LINE = /^HTTP\/1\.[01] [1-9]\d\d( [^\x00-\x08\x0a-\x1f\x7f]*)?$/

/** Reads one request from the beginning of `text` (one-byte). */
export function readRequest(text: string): Reading {
  const from = text.startsWith('\r\n') ? 2 : 0
  const head = readHead(text, from, REQUEST_LINE)
  if (typeof head === 'string') return head
  const framing = framingOf(head.fields)
  if (framing === 'invalid') return 'invalid'
  if (framing === null) return message(head, '', [], head.end, 'none')
  return readBody(text, head, framing)
}

/** Reads one response. `method` of its request; `ended` says that the connection ends behind `text`. */
export function readResponse(text: string, method: string, ended: boolean): Reading {
  const head = readHead(text, 0, STATUS_LINE)
  if (typeof head === 'string') return head
  const status = statusOf(head.startLine)
  const framing = framingOf(head.fields)
  if (framing === 'invalid') return 'invalid'
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) {
    if ((status < 200 || status === 204) && framing !== null && framing !== 0) return 'invalid'
    return message(head, '', [], head.end, 'none')
  }
  if (framing === 'chunked' && head.startLine.startsWith('HTTP/1.0')) return 'invalid'
  if (framing !== null) return readBody(text, head, framing)
  return ended ? message(head, text.slice(head.end), [], text.length, 'close') : 'more'
}

/** Reads all responses of a connection; throws when they are not sound or something is left. */
export function readResponses(text: string, methods: readonly string[], ended = false): Message[] {
  const found: Message[] = []
  let rest = text
  let asked = 0
  while (rest !== '') {
    const next = readResponse(rest, methods[asked] ?? 'GET', ended)
    if (typeof next === 'string') throw new Error(`${next} behind ${found.length} responses: ${JSON.stringify(rest)}`)
    found.push(next)
    if (statusOf(next.startLine) >= 200) asked++
    rest = rest.slice(next.length)
  }
  return found
}

export function statusOf(startLine: string): number {
  return Number(startLine.slice(9, 12))
}

/** All values of a field, by lower-case name. */
export function valuesOf(message: Message, name: string): string[] {
  return message.fields.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value)
}

interface Head {
  startLine: string
  fields: (readonly [string, string])[]
  end: number
}

function readHead(text: string, from: number, startLine: RegExp): Head | 'more' | 'invalid' {
  // Nothing but whole lines is judged.
  const end = text.indexOf('\r\n\r\n', from)
  if (end < 0) return 'more'
  const lines = text.slice(from, end).split('\r\n')
  const first = lines.shift() as string
  if (!startLine.test(first)) return 'invalid'
  const fields = readFields(lines)
  return fields === null ? 'invalid' : { startLine: first, fields, end: end + 4 }
}

function readFields(lines: readonly string[]): (readonly [string, string])[] | null {
  const fields: (readonly [string, string])[] = []
  for (const line of lines) {
    const match = FIELD_LINE.exec(line)
    if (match === null) return null
    fields.push([match[1] as string, match[2] as string])
  }
  return fields
}

function framingOf(fields: readonly (readonly [string, string])[]): number | 'chunked' | null | 'invalid' {
  const all = (name: string): string[] => fields.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value)
  const lengths = all('content-length')
  const codings = all('transfer-encoding')
  if (lengths.length + codings.length > 1) return 'invalid'
  if (codings.length === 1) return codings[0]?.toLowerCase() === 'chunked' ? 'chunked' : 'invalid'
  if (lengths.length === 0) return null
  return /^\d{1,15}$/.test(lengths[0] as string) ? Number(lengths[0]) : 'invalid'
}

function readBody(text: string, head: Head, framing: number | 'chunked'): Reading {
  if (framing !== 'chunked') {
    const end = head.end + framing
    return text.length < end
      ? 'more'
      : message(head, text.slice(head.end, end), [], end, framing === 0 ? 'none' : 'length')
  }
  let body = ''
  let at = head.end
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return 'more'
    const size = /^0*([0-9a-fA-F]{0,12})(;[^\x00-\x08\x0a-\x1f\x7f]*)?$/.exec(text.slice(at, lineEnd))
    if (size === null || !/^[0-9a-fA-F]{1,16}(;|$)/.test(text.slice(at, lineEnd))) return 'invalid'
    const bytes = Number.parseInt(`0${size[1]}`, 16)
    at = lineEnd + 2
    if (bytes === 0) break
    if (text.length < at + bytes + 2) return 'more'
    if (text.slice(at + bytes, at + bytes + 2) !== '\r\n') return 'invalid'
    body += text.slice(at, at + bytes)
    at += bytes + 2
  }
  if (text.startsWith('\r\n', at)) return message(head, body, [], at + 2, 'chunked')
  const end = text.indexOf('\r\n\r\n', at)
  if (end < 0) return 'more'
  const trailers = readFields(text.slice(at, end).split('\r\n'))
  return trailers === null ? 'invalid' : message(head, body, trailers, end + 4, 'chunked')
}

function message(
  head: Head,
  body: string,
  trailers: (readonly [string, string])[],
  length: number,
  framing: Message['framing'],
): Message {
  return { startLine: head.startLine, fields: head.fields, body, trailers, length, framing }
}
