import type { Chain, Policy } from '../core/policy.ts'
import { createHeaders } from './headers/headers.ts'

/**
 * Every policy's name in the configuration, in the one order in which they run on requests; responses run it in reverse.
 * The order is the edge's and no file can change it: cheap refusals first, who is calling, what may the caller do,
 * then the body, and last what changes the request. See docs/adr/ for why it is fixed.
 */
export const POLICY_ORDER = [
  'guard',
  'access',
  'cors',
  'rateLimit',
  'concurrency',
  'clientCertificate',
  'apiKey',
  'jwt',
  'webhook',
  'authorizer',
  'authorize',
  'inbox',
  'plan',
  'budget',
  'validate',
  'waf',
  'cache',
  'headers',
  'mask',
  'scrub',
] as const

/** What makes each policy from its settings: one line for every policy that is built. */
export const POLICIES = {
  headers: createHeaders,
} as const

/**
 * Compiles the policies of one route, given in any order, into their hook lists. Policies of one name keep their order.
 * Throws a RangeError for a name that is not in the registry, so that nothing runs at a place nobody chose.
 */
export function compileChain(policies: readonly Policy[]): Chain {
  const ranks = new Map(policies.map((policy) => [policy, rankOf(policy)]))
  const sorted = policies.toSorted((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0))
  return {
    requestHeaders: orNull(sorted.filter((policy) => policy.onRequestHeaders !== undefined)),
    upstreamRequest: orNull(sorted.filter((policy) => policy.onUpstreamRequest !== undefined)),
    responseHeaders: orNull(sorted.filter((policy) => policy.onResponseHeaders !== undefined).reverse()),
    log: orNull(sorted.filter((policy) => policy.onLog !== undefined)),
  }
}

function rankOf(policy: Policy): number {
  const rank = (POLICY_ORDER as readonly string[]).indexOf(policy.name)
  if (rank < 0) throw new RangeError(`policy "${policy.name}" is not in the registry`)
  return rank
}

function orNull(list: Policy[]): readonly Policy[] | null {
  return list.length === 0 ? null : list
}
