import { FieldTable } from './field-table.ts'

/** Length of a body that nothing announces: it ends with the connection (responses only, RFC 9112 6.3 rule 8). */
export const UNTIL_CLOSE = -2
/** Length of a body in the chunked coding. */
export const CHUNKED = -1

/** The head of one request. Reused: valid from parse to the end of its exchange. */
export class RequestHead {
  method = ''
  /** Request target as received, bytes 0x21 to 0xFF without DEL. */
  target = ''
  /** HTTP minor version, 0 or 1. */
  minor = 1
  readonly fields: FieldTable = new FieldTable()
  /** Host field or the authority of an absolute target, as received; '' for HTTP/1.0 without Host. */
  host = ''
  /** Bytes of the body, or CHUNKED. 0 when there is none. */
  bodyLength = 0
  keepAlive = true
  /** The client waits for a 100 before it sends its body. */
  expectContinue = false
  /** The protocol asked for by Connection: Upgrade, lower case; null if none. */
  upgrade: string | null = null
  /** TE: trailers was sent. */
  teTrailers = false
}

/** The head of one response. Reused like RequestHead. */
export class ResponseHead {
  status = 0
  /** Reason phrase as received. */
  reason = ''
  minor = 1
  readonly fields: FieldTable
  /** Bytes of the body, CHUNKED or UNTIL_CLOSE; 0 when there is none by status, method or length. */
  bodyLength = 0
  /** Content-Length as sent, also where no body follows (HEAD, 304); -1 if absent. */
  contentLength = -1
  keepAlive = true
  /** A Date field was sent. */
  dated = false
  /** Index of the Content-Type field, -1 without one. */
  contentType = -1
  upgrade: string | null = null

  constructor(fields: FieldTable = new FieldTable()) {
    this.fields = fields
  }
}
