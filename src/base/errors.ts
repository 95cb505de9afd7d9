/**
 * The table of reason codes: every answer the edge makes itself, and every way an exchange can end badly.
 *
 * One row is the single source of a code's status, its title, whose fault it is and what the reader can do.
 * The access log, the metrics, the problem documents (RFC 9457) and `docs/reference/reason-codes.md` all come from here.
 * A code is never reused for something else once it was released.
 */

/** Who caused it: the caller, the edge (its configuration or itself), or the endpoint behind it. */
export type Fault = 'client' | 'edge' | 'upstream'

export interface Reason {
  /** HTTP status of the answer; 0 when the connection is closed without one. */
  readonly status: number
  /** One sentence, shown to the caller as the problem document's title. Never internals. */
  readonly title: string
  readonly fault: Fault
  /** What the reader of the log can do about it. Shown in the reference page, never to the caller. */
  readonly advice: string
}

const reason = (status: number, fault: Fault, title: string, advice: string): Reason => ({
  status,
  title,
  fault,
  advice,
})

export const REASONS = {
  // --- the request as it arrived
  'request-line-invalid': reason(
    400,
    'client',
    'The request line is malformed.',
    'Send METHOD SP target SP HTTP/1.1 CRLF (RFC 9112 3).',
  ),
  'header-invalid': reason(
    400,
    'client',
    'A header field is malformed.',
    'Field names are tokens followed directly by a colon; values hold no control characters and are not folded (RFC 9112 5).',
  ),
  'header-too-large': reason(
    431,
    'client',
    'The request head is too large.',
    'Send less, or raise `limits.headBytes` of the listener.',
  ),
  'header-too-many': reason(
    431,
    'client',
    'The request has too many header fields.',
    'Send fewer, or raise `limits.headers` of the listener.',
  ),
  'url-too-long': reason(
    414,
    'client',
    'The request target is too long.',
    'Shorten it, or raise `limits.urlBytes` of the listener.',
  ),
  'version-unsupported': reason(505, 'client', 'This HTTP version is not supported.', 'Use HTTP/1.1 or HTTP/1.0.'),
  'method-refused': reason(
    501,
    'client',
    'This method is not supported.',
    'CONNECT and TRACE are never forwarded (RFC 9110 9.3.6, 9.3.8).',
  ),
  'host-invalid': reason(
    400,
    'client',
    'The Host header field is missing, repeated or malformed.',
    'Send exactly one valid Host (RFC 9112 3.2).',
  ),
  'framing-invalid': reason(
    400,
    'client',
    'The length of the request body is ambiguous.',
    'Send one valid Content-Length or Transfer-Encoding: chunked, never both (RFC 9112 6.3). A front proxy that sends both can be used to smuggle requests.',
  ),
  'transfer-coding-unsupported': reason(
    501,
    'client',
    'This transfer coding is not supported.',
    'Only chunked is understood (RFC 9112 6.1).',
  ),
  'chunk-invalid': reason(
    400,
    'client',
    'The chunked request body is malformed.',
    'Check the sender; chunk sizes are plain hexadecimal and lines end in CRLF (RFC 9112 7.1).',
  ),
  'trailer-invalid': reason(
    400,
    'client',
    'The trailer section of the request is malformed or too large.',
    'Trailers obey the rules and limits of header fields (RFC 9112 7.1.2).',
  ),
  'expectation-failed': reason(
    417,
    'client',
    'This expectation is not supported.',
    'Only Expect: 100-continue is understood (RFC 9110 10.1.1).',
  ),
  'body-too-large': reason(
    413,
    'client',
    'The request body is too large.',
    'Send less, or raise `limits.bodyBytes` of the listener.',
  ),
  'path-invalid': reason(
    400,
    'client',
    'The path is malformed.',
    'Percent-encode what RFC 3986 does not allow in a path.',
  ),
  'path-ambiguous': reason(
    400,
    'client',
    'The path can be read in more than one way.',
    'Two readings of this path (encoded slashes, parameters, double encoding) lead to different routes, so an endpoint could see another resource than the edge allowed.',
  ),
  'head-timeout': reason(
    408,
    'client',
    'The request head did not arrive in time.',
    'Slow client, or raise `timeouts.head` of the listener.',
  ),
  'body-timeout': reason(
    408,
    'client',
    'The request body did not arrive in time.',
    'Slow client, or raise `timeouts.body` of the listener.',
  ),
  'client-gone': reason(
    499,
    'client',
    'The client went away before the answer was complete.',
    'The caller reset its connection; nothing to do on the edge.',
  ),
  'client-too-slow': reason(
    499,
    'client',
    'The client stopped reading the answer.',
    'The caller took no byte for `timeouts.body` of the listener.',
  ),
  // --- the connection
  'idle-timeout': reason(
    0,
    'client',
    'The connection was idle for too long.',
    'No byte came or went for `timeouts.idle` of a listener of mode tcp.',
  ),
  'connections-exceeded': reason(
    503,
    'client',
    'Too many connections.',
    'Raise `limits.connections` of the listener, or look at who opens so many.',
  ),
  'proxy-protocol-invalid': reason(
    0,
    'client',
    'The PROXY protocol header is missing or malformed.',
    'The sender is in `proxyProtocol.from`, so it must send a version 1 or 2 header first.',
  ),
  'proxy-protocol-untrusted': reason(
    0,
    'client',
    'A PROXY protocol header came from a sender that may not send one.',
    'Add the sender to `proxyProtocol.from` if it is yours.',
  ),
  'tls-handshake-failed': reason(
    0,
    'client',
    'The TLS handshake failed.',
    'No common version or cipher, or no acceptable client certificate.',
  ),
  'tls-handshake-timeout': reason(
    0,
    'client',
    'The TLS handshake did not end in time.',
    'Slow client, or raise `timeouts.handshake` of the listener.',
  ),
  // --- routing
  'route-not-found': reason(404, 'client', 'There is nothing at this address.', 'No route matches this host and path.'),
  'method-not-allowed': reason(
    405,
    'client',
    'This method is not allowed here.',
    'The path has routes, none of them for this method; see Allow.',
  ),
  'fixed-response': reason(
    200,
    'edge',
    'The route answers itself.',
    'Configured by `respond` of the route; its status is the one written there.',
  ),
  redirect: reason(
    308,
    'edge',
    'The route redirects.',
    'Configured by `redirect` of the route; its status is the one written there.',
  ),
  // --- the endpoint
  'upstream-unavailable': reason(
    503,
    'upstream',
    'No endpoint is available.',
    'Every endpoint of the upstream is unhealthy or ejected; see sallyport_endpoint_healthy.',
  ),
  'upstream-queue-full': reason(
    503,
    'upstream',
    'The service is overloaded.',
    'The upstream runs `concurrency.limit` requests and its queue is full.',
  ),
  'upstream-queue-timeout': reason(
    503,
    'upstream',
    'The service is overloaded.',
    'The request waited longer than `concurrency.queueTimeout`.',
  ),
  'upstream-connect-failed': reason(
    502,
    'upstream',
    'The endpoint could not be reached.',
    'Connection refused, no route, or the name does not resolve.',
  ),
  'upstream-connect-timeout': reason(
    504,
    'upstream',
    'The endpoint could not be reached in time.',
    'See `timeouts.connect` of the upstream.',
  ),
  'upstream-tls-failed': reason(
    502,
    'upstream',
    'The endpoint could not be verified.',
    "The endpoint's certificate does not verify against `tls.ca` and `tls.serverName`, or it refused ours.",
  ),
  'upstream-reset': reason(
    502,
    'upstream',
    'The endpoint broke off.',
    'It closed or reset the connection before its response was complete.',
  ),
  'upstream-response-timeout': reason(
    504,
    'upstream',
    'The endpoint did not answer in time.',
    'See `timeouts.response` of the upstream.',
  ),
  'upstream-body-timeout': reason(
    504,
    'upstream',
    'The endpoint stopped in the middle of its answer.',
    'No byte came for `timeouts.idle` of the upstream.',
  ),
  'upstream-response-invalid': reason(
    502,
    'upstream',
    'The endpoint sent a malformed response.',
    'Its framing or a header field breaks RFC 9112, or its head is over the limit.',
  ),
  // --- the edge itself
  draining: reason(503, 'edge', 'The service is shutting down.', 'The edge received SIGTERM and finishes what runs.'),
  'policy-failed': reason(
    500,
    'edge',
    'The request could not be checked.',
    'A policy threw; the error is in the log of the edge. Requests are refused when they cannot be checked.',
  ),
  'internal-error': reason(
    500,
    'edge',
    'Something went wrong.',
    'A defect of the edge; its log has the error. Please report it.',
  ),
} as const satisfies Record<string, Reason>

export type ReasonCode = keyof typeof REASONS

/** Every reason code, in the table's order. */
export const REASON_CODES = Object.keys(REASONS) as ReasonCode[]
