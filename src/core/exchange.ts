import type { ReasonCode } from '../base/errors.ts'
import type { ClientStream } from '../http/client-stream.ts'
import type { RequestHead } from '../http/message.ts'
import type { ConnectionInfo } from './connection-info.ts'
import type { Outcome } from './outcome.ts'
import type { LocalReply } from './reply.ts'
import type { Route } from './route.ts'
import type { Snapshot } from './snapshot.ts'

/** Who runs an exchange: takes it back from an upstream that answers it no further. */
export interface ExchangeOwner {
  /** Answers in place of the endpoint; the response must not have started. */
  reply(exchange: Exchange, reply: LocalReply): void
  /** The response was sent whole, or will never be: `outcome` says which. Called once; writes the log line. */
  ended(exchange: Exchange, outcome: Outcome): void
  /** A policy threw: for the process log. */
  defect(error: unknown): void
}

/**
 * One request and its response, from parsed head to log line. Pins the Snapshot it started with.
 *
 * Data only: who may write which field is said beside it. Every field is set in one order, so that the path sees one shape.
 */
export class Exchange {
  /** 20 characters of [0-9a-z], unique across threads and restarts. */
  id = ''
  readonly connection: ConnectionInfo
  readonly request: RequestHead
  readonly snapshot: Snapshot
  /** Where the request body comes from and the response goes to. */
  readonly stream: ClientStream
  readonly owner: ExchangeOwner
  /** Milliseconds since 1970, when the head was complete. */
  startedMs = 0

  // --- identity (proxy/identity)
  /** Who called, after the trust rules: IPv4 dotted or IPv6 compressed. */
  client = ''
  scheme: 'http' | 'https' = 'http'
  /** Host without port, lower case, without a final dot. */
  host = ''
  /** Host with port as the client sent it, for forwarding. */
  authority = ''
  /** Field lines that tell the endpoint who called and what was asked, each ending in CRLF. */
  forwardedFields = ''

  // --- target (proxy/path, proxy/router)
  /** Normal form of the path; what routing, policies and the endpoint see. */
  path = ''
  /** Query as received, without `?`; '' both for none and for an empty one. */
  query = ''
  /** True when the target has a `?`, so that an empty query is passed on. */
  hasQuery = false
  /** Set when the path rules refuse this path; the refusal is answered after the request policies. */
  pathRefusal: ReasonCode | null = null
  route: Route | null = null
  /** Values of the route template's names, in template order; null without names. */
  params: string[] | null = null
  /** For a 405: the methods to name in Allow. */
  allow: string | null = null
  /** Path and query in the form sent to the endpoint; '' until a route is taken. */
  targetOut = ''

  // --- forwarding (upstream)
  upstream: string | null = null
  /** `host:port` of the endpoint that answered or was tried last. */
  endpoint: string | null = null
  attempts = 0
  /** From the first attempt's start to the response head, in ms; null before that. */
  upstreamMs: number | null = null

  // --- the end (proxy)
  /** Status sent to the client; 0 when none was. */
  status = 0
  outcome: Outcome = 'ok'
  /** Request body bytes received, without framing. */
  bytesIn = 0
  /** Response body bytes sent, without framing. */
  bytesOut = 0
  durationMs = 0
  /** Id of the API key, its plan, and the firewall's verdict, when policies set them. */
  key: string | null = null
  plan: string | null = null
  waf: string | null = null
  /** When the first attempt began, in the clock of `performance.now()`; for upstreamMs. */
  upstreamStartedMs = 0
  /** The W3C trace context sent to the endpoint, null when there is none. */
  traceparent: string | null = null

  constructor(connection: ConnectionInfo, stream: ClientStream, snapshot: Snapshot, owner: ExchangeOwner) {
    this.connection = connection
    this.request = stream.head
    this.snapshot = snapshot
    this.stream = stream
    this.owner = owner
  }
}
