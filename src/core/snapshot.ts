import type { ReasonCode } from '../base/errors.ts'
import type { Exchange } from './exchange.ts'
import type { Route } from './route.ts'
import type { Upstream } from './upstream.ts'

/** Finds the route of an exchange: sets `route`, `params` and `allow`; returns the refusal, or null when there is a route. */
export interface RouteMatcher {
  match(exchange: Exchange): ReasonCode | null
}

/** The compiled, immutable configuration that exchanges run against. Replaced whole by a reload. */
export interface Snapshot {
  /** Counts reloads; 1 is the first. */
  readonly generation: number
  readonly routes: readonly Route[]
  readonly matcher: RouteMatcher
  readonly upstreams: ReadonlyMap<string, Upstream>
}
