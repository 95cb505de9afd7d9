/** What one listener accepts of a message. All sizes in bytes; Infinity lifts one. */
export interface HeadLimits {
  /** Start line and fields together. */
  readonly headBytes: number
  /** Number of field lines. */
  readonly headers: number
  /** Request target. */
  readonly urlBytes: number
  /** Request body without framing. */
  readonly bodyBytes: number
}

/** Limits for response heads and for trailers: nothing in the configuration names them. */
export const RESPONSE_HEAD_BYTES = 64 * 1024
export const RESPONSE_HEADERS = 500
/** Bytes of a trailer section (RFC 9112 7.1.2). */
export const TRAILER_BYTES = 8 * 1024
/** Bytes of all chunk extensions of one message (RFC 9112 7.1.1: a recipient ought to limit them). */
export const CHUNK_EXTENSION_BYTES = 4 * 1024
/** Interim responses one request may get before its final one. */
export const INTERIM_RESPONSES = 16
