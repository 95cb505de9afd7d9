import type { ResponseHead } from '../http/message.ts'
import type { Exchange } from './exchange.ts'
import type { LocalReply } from './reply.ts'

/** `undefined` goes on, a LocalReply stops; a promise is returned only when the hook waits for I/O. */
export type HookResult = LocalReply | undefined | Promise<LocalReply | undefined>

/** One named step on a route's requests and responses. A hook that throws refuses the exchange with `policy-failed`. */
export interface Policy {
  readonly name: string
  /** Before the upstream is chosen. */
  onRequestHeaders?(exchange: Exchange): HookResult
  /** Once per attempt, before the head is written to an endpoint. Synchronous. */
  onUpstreamRequest?(exchange: Exchange): LocalReply | undefined
  /** Before a response head is written to the client, local replies included. Synchronous. */
  onResponseHeaders?(exchange: Exchange, response: ResponseHead): void
  /** After the exchange, before its log line. */
  onLog?(exchange: Exchange): void
}

/** The policies of one route, compiled: a list that nobody uses is null, so that the path pays one comparison. */
export interface Chain {
  /** In registry order. */
  readonly requestHeaders: readonly Policy[] | null
  readonly upstreamRequest: readonly Policy[] | null
  /** In reverse registry order. */
  readonly responseHeaders: readonly Policy[] | null
  readonly log: readonly Policy[] | null
}
