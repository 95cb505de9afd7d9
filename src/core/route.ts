import type { CidrSet } from '../base/cidr.ts'
import type { Chain } from './policy.ts'
import type { Upstream } from './upstream.ts'

/** What a request must be like to take a route; null or empty means any. */
export interface RouteMatch {
  /** Exact host or `*.example.com` (one or more labels), lower case, without port. */
  readonly host: string | null
  /** Path template: `/orders/{id}` one segment, `/files/{rest+}` one or more, a final `/*` this path and all below it. */
  readonly path: string
  readonly methods: readonly string[] | null
  /** Header conditions: lower-case name and exact value. */
  readonly headers: readonly (readonly [string, string])[]
  /** Query conditions: decoded name and exact decoded value. */
  readonly query: readonly (readonly [string, string])[]
  /** Networks the resolved client must lie in. */
  readonly from: CidrSet | null
}

export interface WeightedUpstream {
  readonly upstream: Upstream
  /** Share of the requests relative to the others, > 0. */
  readonly weight: number
}

export interface FixedResponse {
  readonly status: number
  readonly body: string
  readonly headers: readonly (readonly [string, string])[]
}

export interface Redirect {
  /** Location; may hold `{name}` of the path template, `{path}`, `{query}` and `{host}`. */
  readonly to: string
  readonly status: number
}

export interface Rewrite {
  /** New path with the route's `{name}`s; null keeps the path. */
  readonly path: string | null
  /** Host sent to the endpoint; null keeps the client's. */
  readonly host: string | null
}

/** A match with what happens then: exactly one of `targets`, `respond` and `redirect` is set. */
export interface Route {
  readonly name: string
  readonly match: RouteMatch
  readonly targets: readonly WeightedUpstream[] | null
  readonly respond: FixedResponse | null
  readonly redirect: Redirect | null
  readonly rewrite: Rewrite | null
  readonly chain: Chain
}
