import type { Chain } from '../core/policy.ts'
import type { LocalReply } from '../core/reply.ts'
import type { FixedResponse, Redirect, Rewrite, Route, RouteMatch, WeightedUpstream } from '../core/route.ts'
import { compileRedirect, type Redirector } from './router/redirect.ts'
import { compileRespond } from './router/respond.ts'
import { compileRewrite, type TargetWriter } from './router/rewrite.ts'
import { compileSplit, type Split } from './router/split.ts'

/** What a route is made from. */
export interface RouteParts {
  readonly name: string
  readonly match: RouteMatch
  readonly targets: readonly WeightedUpstream[] | null
  readonly respond: FixedResponse | null
  readonly redirect: Redirect | null
  readonly rewrite: Rewrite | null
  readonly chain: Chain
}

/** A route with everything made ready that its requests need. Every route of a Snapshot is one. */
export class CompiledRoute implements Route {
  readonly name: string
  readonly match: RouteMatch
  readonly targets: readonly WeightedUpstream[] | null
  readonly respond: FixedResponse | null
  readonly redirect: Redirect | null
  readonly rewrite: Rewrite | null
  readonly chain: Chain
  /** Its number in the Snapshot, for metrics. */
  readonly index: number
  readonly reply: LocalReply | null
  readonly redirector: Redirector | null
  readonly split: Split | null
  readonly target: TargetWriter

  /** Throws a RangeError that says what is wrong with a template or an answer. */
  constructor(parts: RouteParts, index: number) {
    this.name = parts.name
    this.match = parts.match
    this.targets = parts.targets
    this.respond = parts.respond
    this.redirect = parts.redirect
    this.rewrite = parts.rewrite
    this.chain = parts.chain
    this.index = index
    this.reply = parts.respond === null ? null : compileRespond(parts.respond)
    this.redirector = parts.redirect === null ? null : compileRedirect(parts.redirect, parts.match.path)
    this.split = parts.targets === null ? null : compileSplit(parts.targets)
    this.target = compileRewrite(parts.rewrite, parts.match.path)
  }
}
