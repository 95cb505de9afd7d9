import type { ReasonCode } from '../base/errors.ts'
import type { RequestHead } from './message.ts'

/** Takes the body of one request, and what becomes of its client. */
export interface RequestSink {
  /** A piece of the body; copy what is kept. */
  onBody(buf: Buffer, start: number, end: number): void
  /** The body is complete. Trailers are field lines that may be passed on, each ending in CRLF. */
  onBodyEnd(trailers: string): void
  /** The body cannot be completed: malformed, too large, too slow, or the client stopped in the middle. */
  onBodyFailed(code: ReasonCode): void
  /** All bytes at hand were given: send on what was collected. */
  onReadDone(): void
  /** The client's output buffer has drained. */
  onDrain(): void
  /** The client is gone (reset, or it stopped reading); nothing can be sent any more. */
  onGone(code: ReasonCode): void
}

/** The client's side of one exchange, whatever the HTTP version. */
export interface ClientStream {
  readonly head: RequestHead
  /** True once the request body has been read whole. */
  readonly requestDone: boolean
  /** True once a response head was sent. */
  readonly responseStarted: boolean
  /** True while bytes that arrived are being read: what is collected meanwhile is flushed at the end. */
  readonly reading: boolean
  /** Sets who gets the body. Nothing is given before `resumeBody`. */
  setSink(sink: RequestSink): void
  pauseBody(): void
  resumeBody(): void
  /** Sends an interim response (1xx but 101); `fields` are lines ending in CRLF. Ignored for HTTP/1.0. */
  sendInterim(status: number, fields: string): void
  /**
   * Starts the final response. `fields` are lines ending in CRLF, without framing and connection fields.
   * `length`: bytes of the body, -1 when unknown; `bodyless`: none follows whatever `length` says (HEAD, 204, 304);
   * then a length of -1 is not announced. `declared`: `fields` hold the Content-Length of that `length` already.
   */
  sendHead(status: number, reason: string, fields: string, length: number, bodyless: boolean, declared: boolean): void
  sendBody(buf: Buffer, start: number, end: number): void
  /** The response is complete. */
  sendEnd(trailers: string): void
  /** Hands over what was collected; false: hold back until `onDrain`. */
  flush(): boolean
  /** 101: from now on bytes are passed both ways through `onBody` and `sendBody`. */
  startTunnel(fields: string): void
  /** Ends the client's side of a tunnel after what was sent. */
  endTunnel(): void
  /** Breaks off: the client must not take what it got for a whole response. */
  abort(): void
}
