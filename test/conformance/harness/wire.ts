/**
 * A strict RFC 9112 reader for both ends of a proxy, written without a line of the edge's own parser, so that the two
 * can disagree. Text is latin1: one character is one byte. Nothing is repaired; every breach of the grammar is noted.
 */

export interface Field {
  readonly name: string
  readonly value: string
}

/** One complete message. */
export interface Message {
  readonly startLine: string
  readonly fields: readonly Field[]
  readonly trailers: readonly Field[]
  readonly body: string
  /** What the grammar forbids, in words; empty for a clean message. */
  readonly problems: readonly string[]
  /** False when the connection ended, or the text went wrong, before the message was whole. */
  readonly complete: boolean
  /** Where the next message starts. */
  readonly end: number
}

export interface Request extends Message {
  readonly method: string
  readonly target: string
  readonly version: string
}

export interface Response extends Message {
  readonly status: number
  readonly reason: string
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const FIELD = new RegExp(`^(${TOKEN}):[ \\t]*([\\t\\x20-\\x7e\\x80-\\xff]*?)[ \\t]*$`)
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([\\x21-\\x7e\\x80-\\xff]+) (HTTP/1\\.[01])$`)
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3}) ([\t\x20-\x7e\x80-\xff]*)$/
const CHUNK_LINE = /^([0-9A-Fa-f]{1,15})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)$/

/** All values of a field, joined by `, `; null when it is absent. Letter case does not matter. */
export function fieldValue(message: Message, name: string): string | null {
  const values = message.fields.filter((field) => field.name.toLowerCase() === name.toLowerCase())
  return values.length === 0 ? null : values.map((field) => field.value).join(', ')
}

interface Head {
  readonly startLine: string
  readonly fields: readonly Field[]
  readonly problems: string[]
  readonly end: number
}

function readHead(text: string, start: number): Head | null {
  const stop = text.indexOf('\r\n\r\n', start)
  if (stop < 0) return null
  const [startLine = '', ...lines] = text.slice(start, stop).split('\r\n')
  const problems: string[] = []
  return { startLine, fields: readFields(lines, problems), problems, end: stop + 4 }
}

function readFields(lines: readonly string[], problems: string[]): Field[] {
  return lines.map((line) => {
    const match = FIELD.exec(line)
    if (match === null) problems.push(`field line ${JSON.stringify(line.slice(0, 80))}`)
    return { name: match?.[1] ?? line, value: match?.[2] ?? '' }
  })
}

interface Body {
  readonly body: string
  readonly trailers: readonly Field[]
  readonly end: number
  readonly complete: boolean
}

/** Reads the chunked coding; null while more is needed. A breach ends the text. */
function readChunked(text: string, start: number, problems: string[]): Body | null {
  let at = start
  let body = ''
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const match = CHUNK_LINE.exec(text.slice(at, lineEnd))
    if (match === null) {
      problems.push(`chunk line ${JSON.stringify(text.slice(at, lineEnd).slice(0, 80))}`)
      return { body, trailers: [], end: text.length, complete: false }
    }
    const size = Number.parseInt(match[1] as string, 16)
    at = lineEnd + 2
    if (size === 0) return readTrailers(text, at, body, problems)
    if (text.length < at + size + 2) return null
    body += text.slice(at, at + size)
    at += size
    if (text.slice(at, at + 2) !== '\r\n') {
      problems.push(`chunk of ${size} bytes ends in ${JSON.stringify(text.slice(at, at + 2))}`)
      return { body, trailers: [], end: text.length, complete: false }
    }
    at += 2
  }
}

function readTrailers(text: string, at: number, body: string, problems: string[]): Body | null {
  if (text.startsWith('\r\n', at)) return { body, trailers: [], end: at + 2, complete: true }
  const stop = text.indexOf('\r\n\r\n', at)
  if (stop < 0) return null
  return { body, trailers: readFields(text.slice(at, stop).split('\r\n'), problems), end: stop + 4, complete: true }
}

interface Framing {
  readonly chunked: boolean
  /** Null when nothing says a length. */
  readonly length: number | null
}

function framing(fields: readonly Field[], problems: string[]): Framing {
  const lengths = fields.filter((field) => /^content-length$/i.test(field.name))
  const codings = fields.filter((field) => /^transfer-encoding$/i.test(field.name))
  if (lengths.length > 0 && codings.length > 0) problems.push('both Content-Length and Transfer-Encoding')
  if (lengths.length > 1) problems.push(`${lengths.length} Content-Length fields`)
  if (codings.length > 1) problems.push(`${codings.length} Transfer-Encoding fields`)
  const length = lengths[0]?.value
  if (length !== undefined && !/^\d{1,15}$/.test(length)) problems.push(`Content-Length ${JSON.stringify(length)}`)
  const coding = codings[0]?.value
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    problems.push(`Transfer-Encoding ${JSON.stringify(coding)}`)
  return { chunked: coding !== undefined, length: length === undefined ? null : Number(length) }
}

/** Reads one request from `start`; null while it is not whole. A request that breaks the grammar takes all the text. */
export function readRequest(text: string, start = 0): Request | null {
  const head = readHead(text, start)
  if (head === null) return null
  const { problems } = head
  const line = REQUEST_LINE.exec(head.startLine)
  if (line === null) problems.push(`request line ${JSON.stringify(head.startLine.slice(0, 80))}`)
  const version = line?.[3] ?? ''
  const hosts = head.fields.filter((field) => field.name.toLowerCase() === 'host').length
  if (hosts > 1 || (hosts === 0 && version === 'HTTP/1.1')) problems.push(`${hosts} Host fields`)
  const shadow = head.fields.find(({ name }) => /^(content_length|transfer_encoding)$/i.test(name))
  if (shadow !== undefined) problems.push(`${shadow.name}, which some endpoints take for the real field`)
  const { chunked, length } = framing(head.fields, problems)
  if (chunked && version === 'HTTP/1.0') problems.push('Transfer-Encoding in HTTP/1.0')
  let body: Body = { body: '', trailers: [], end: head.end, complete: true }
  if (chunked) {
    const read = readChunked(text, head.end, problems)
    if (read === null) return null
    body = read
  } else if (length !== null) {
    if (text.length < head.end + length) return null
    body = { ...body, body: text.slice(head.end, head.end + length), end: head.end + length }
  }
  return { ...head, ...body, problems, method: line?.[1] ?? '', target: line?.[2] ?? head.startLine, version }
}

/**
 * Reads the responses in `text` to requests with these methods, interim (1xx) ones left out.
 * `closed` says whether the connection has ended: it ends a body that nothing else ends.
 */
export function readResponses(text: string, methods: readonly string[], closed: boolean): Response[] {
  const list: Response[] = []
  let at = 0
  while (at < text.length) {
    const response = readResponse(text, at, methods[list.length] ?? 'GET', closed)
    at = response.end
    if (response.status === 101 || response.status >= 200 || response.status === 0) list.push(response)
    if (response.status === 101) break
  }
  return list
}

function readResponse(text: string, start: number, method: string, closed: boolean): Response {
  const broken = { startLine: '', fields: [], trailers: [], body: '', end: text.length, complete: false, reason: '' }
  const head = readHead(text, start)
  if (head === null) return { ...broken, status: 0, problems: closed ? ['the head is cut off'] : [] }
  const { problems } = head
  const line = STATUS_LINE.exec(head.startLine)
  if (line === null) {
    return { ...broken, status: 0, problems: [`status line ${JSON.stringify(head.startLine.slice(0, 80))}`] }
  }
  const status = Number(line[1])
  const reason = line[2] as string
  const { chunked, length } = framing(head.fields, problems)
  const bodyless = status < 200 || status === 204 || status === 304 || method === 'HEAD'
  if ((status < 200 || status === 204) && (chunked || length !== null)) problems.push(`framing fields in a ${status}`)
  const empty: Body = { body: '', trailers: [], end: head.end, complete: true }
  let body = empty
  if (bodyless) body = empty
  else if (chunked) {
    body = readChunked(text, head.end, problems) ?? { ...empty, end: text.length, complete: false }
  } else if (length !== null) {
    const end = Math.min(text.length, head.end + length)
    body = { ...empty, body: text.slice(head.end, end), end, complete: text.length >= head.end + length }
  } else body = { ...empty, body: text.slice(head.end), end: text.length, complete: closed }
  return { ...head, ...body, problems, status, reason }
}
