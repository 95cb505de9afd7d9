import { CidrSet } from '../base/cidr.ts'
import type { Chain, Policy } from '../core/policy.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { Upstream } from '../core/upstream.ts'
import type { HeaderChanges } from '../policies/headers/headers.ts'
import { compileChain, POLICIES } from '../policies/registry.ts'
import { CompiledRoute } from '../proxy/compiled-route.ts'
import { compileRouter } from '../proxy/router/router.ts'
import type { Config, HeadersPolicyConfig, RouteConfig } from './root.schema.ts'

/**
 * Makes the Snapshot that exchanges run against from a checked configuration: the one place that knows all names.
 *
 * `upstreams` are the thread's own, by name. Throws a RangeError with what is wrong; nothing is changed by a failure.
 */
export function compileSnapshot(
  generation: number,
  config: Config,
  upstreams: ReadonlyMap<string, Upstream>,
): Snapshot {
  const chains = new Map<string, Chain>()
  const routes = config.routes.map((route, index) => compileRoute(route, index, config, upstreams, chains))
  return { generation, routes, matcher: compileRouter(routes), upstreams }
}

function compileRoute(
  route: RouteConfig,
  index: number,
  config: Config,
  upstreams: ReadonlyMap<string, Upstream>,
  chains: Map<string, Chain>,
): CompiledRoute {
  const shares = route.upstream === null ? (route.split ?? []) : [{ upstream: route.upstream, weight: 1 }]
  const targets = shares
    .filter(({ weight }) => weight > 0)
    .map(({ upstream, weight }) => ({ upstream: named(upstreams, upstream, route.name), weight }))
  const { respond, redirect, rewrite } = route
  return new CompiledRoute(
    {
      name: route.name,
      match: {
        host: route.host,
        path: route.path,
        methods: route.methods,
        headers: Object.entries(route.headers).map(([name, value]) => [name.toLowerCase(), value]),
        query: Object.entries(route.query),
        from: route.from === null ? null : new CidrSet(route.from),
      },
      targets: targets.length === 0 ? null : targets,
      respond: respond === null ? null : { ...respond, headers: Object.entries(respond.headers) },
      redirect,
      rewrite,
      chain: chainOf(route, config, chains),
    },
    index,
  )
}

function named(upstreams: ReadonlyMap<string, Upstream>, name: string, route: string): Upstream {
  const upstream = upstreams.get(name)
  if (upstream === undefined) throw new RangeError(`route "${route}": there is no upstream "${name}"`)
  return upstream
}

/** The policies of a route: the ones of every route, each replaced by the route's own of that name, `off` removing it. */
function chainOf(route: RouteConfig, config: Config, chains: Map<string, Chain>): Chain {
  const own = route.policies.headers
  const headers = own === undefined ? config.policies.headers : own
  // Thousands of routes share a few chains.
  const key = JSON.stringify({ headers })
  let chain = chains.get(key)
  if (chain === undefined) {
    chain = compileChain(policiesOf(headers))
    chains.set(key, chain)
  }
  return chain
}

function policiesOf(headers: HeadersPolicyConfig | null): Policy[] {
  const policies: Policy[] = []
  if (headers !== null)
    policies.push(POLICIES.headers({ request: changes(headers.request), response: changes(headers.response) }))
  return policies
}

function changes(direction: HeadersPolicyConfig['request']): HeaderChanges {
  return { set: Object.entries(direction.set), remove: direction.remove }
}
