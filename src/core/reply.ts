import { REASONS, type ReasonCode } from '../base/errors.ts'

/** An answer made by the edge. Refusals are problem details (RFC 9457); `body` replaces them where a route says so. */
export class LocalReply {
  readonly code: ReasonCode
  readonly status: number
  /** Further field lines, each ending in CRLF, such as Allow or Retry-After. */
  readonly headers: string
  /** Null: a problem document is written. */
  readonly body: string | null

  constructor(code: ReasonCode, headers = '', status: number = REASONS[code].status, body: string | null = null) {
    this.code = code
    this.status = status
    this.headers = headers
    this.body = body
  }
}
