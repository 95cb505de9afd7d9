import type { ReasonCode } from '../base/errors.ts'
import type { RequestHead } from '../http/message.ts'
import type { ConnectionInfo } from './connection-info.ts'
import type { Outcome } from './outcome.ts'
import type { Route } from './route.ts'
import type { Snapshot } from './snapshot.ts'

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
  snapshot: Snapshot
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
  /** X-Forwarded-For as it will be sent on. */
  forwardedFor = ''

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
  /** The W3C trace context sent to the endpoint, null when there is none. */
  traceparent: string | null = null

  constructor(connection: ConnectionInfo, request: RequestHead, snapshot: Snapshot) {
    this.connection = connection
    this.request = request
    this.snapshot = snapshot
  }
}
