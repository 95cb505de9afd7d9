import type { Socket } from 'node:net'
import { flat } from '../../base/bytes.ts'
import { ByteWriter } from '../byte-writer.ts'
import { STATUS_CODES } from '../status-codes.ts'

let lastStatus = 0
let lastReason = ''
let lastLine = ''

/** Most responses have the status of the one before. */
function statusLine(status: number, reason: string): string {
  if (status !== lastStatus || reason !== lastReason) {
    lastStatus = status
    lastReason = reason
    lastLine = flat(`HTTP/1.1 ${status} ${reason}\r\n`)
  }
  return lastLine
}

/** Writes responses to one client, with the framing that its HTTP version and the length call for (RFC 9112 6). */
export class ResponseWriter {
  readonly #out: ByteWriter
  #chunked = false
  #length = 0

  constructor(socket: Socket) {
    this.#out = new ByteWriter(socket)
  }

  /** True when only the end of the connection tells the client that the body has ended. */
  get endsWithConnection(): boolean {
    return this.#length < 0 && !this.#chunked
  }

  interim(status: number, fields: string): void {
    this.#out.text(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Interim'}\r\n${fields}\r\n`)
    this.#out.flush()
  }

  /**
   * Writes the head of a final response; see `ClientStream.sendHead`. Returns whether the connection can be kept: a body
   * of unknown length to an HTTP/1.0 client ends with it.
   */
  head(
    status: number,
    reason: string,
    fields: string,
    length: number,
    bodyless: boolean,
    http10: boolean,
    keepAlive: boolean,
    declared: boolean,
  ): boolean {
    let kept = keepAlive
    let framing = ''
    this.#chunked = false
    this.#length = length
    if (length >= 0) framing = declared ? '' : `Content-Length: ${length}\r\n`
    else if (!bodyless && http10) kept = false
    else if (!bodyless) {
      this.#chunked = true
      framing = 'Transfer-Encoding: chunked\r\n'
    }
    if (!kept) framing += 'Connection: close\r\n'
    else if (http10) framing += 'Connection: keep-alive\r\n'
    this.#out.text(`${statusLine(status, reason)}${fields}${framing}\r\n`)
    return kept
  }

  body(buf: Buffer, start: number, end: number): void {
    if (!this.#chunked) {
      this.#out.bytes(buf, start, end)
      return
    }
    this.#out.text(`${(end - start).toString(16)}\r\n`)
    this.#out.bytes(buf, start, end)
    this.#out.text('\r\n')
  }

  end(trailers: string): void {
    if (this.#chunked) this.#out.text(`0\r\n${trailers}\r\n`)
  }

  /** 101: what follows is the other protocol's. */
  switching(fields: string): void {
    this.#chunked = false
    this.#out.text(`HTTP/1.1 101 Switching Protocols\r\n${fields}Connection: Upgrade\r\n\r\n`)
    this.#out.flush()
  }

  /** False when the socket holds more than it should. */
  flush(): boolean {
    return this.#out.flush()
  }
}
