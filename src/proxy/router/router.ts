import type { ReasonCode } from '../../base/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { Route } from '../../core/route.ts'
import type { RouteMatcher } from '../../core/snapshot.ts'
import { hasReadings, readingsOf, routingKey } from '../path/readings.ts'
import { paramsOf } from './entry.ts'
import { HostTable } from './hosts.ts'
import { parseTemplate } from './template.ts'
import { type Trie, TrieBuilder } from './trie.ts'

/**
 * Compiles routes into the matcher of a Snapshot: of the routes that fit a request the most specific wins, whatever
 * their order. Host first (exact, longest `*.` suffix, any), then path segment by segment (text, `{name}`, `{rest+}`,
 * `/*`), then method (named, for HEAD a route that names GET, any), then the number of conditions, then the order.
 *
 * A CORS preflight takes the route of its Access-Control-Request-Method where no route of the path names OPTIONS.
 * Throws a RangeError that names the route and says what is wrong with its path or host.
 */
export function compileRouter(routes: readonly Route[]): RouteMatcher {
  const builder = new TrieBuilder()
  const hosts = new HostTable()
  for (const route of routes) {
    try {
      builder.add(hosts.rootOf(route.match.host, builder), parseTemplate(route.match.path), route)
    } catch (cause) {
      throw new RangeError(`route "${route.name}": ${(cause as Error).message}`, { cause })
    }
  }
  return new Router(hosts, builder.build())
}

class Router implements RouteMatcher {
  readonly #hosts: HostTable
  readonly #trie: Trie

  constructor(hosts: HostTable, trie: Trie) {
    this.#hosts = hosts
    this.#trie = trie
  }

  match(exchange: Exchange): ReasonCode | null {
    const path = exchange.path
    const method = exchange.request.method
    const preflight = method === 'OPTIONS' ? preflightMethod(exchange) : null
    const encoded = path.indexOf('%') >= 0
    const key = encoded ? routingKey(path) : path
    const roots = this.#hosts.rootsFor(exchange.host)
    const entry = this.#trie.find(roots, key, exchange, method, preflight)
    if (entry === null) return this.#miss(roots, key, exchange)
    exchange.route = entry.route
    exchange.params = paramsOf(entry, path)
    if ((encoded || path.indexOf(';') >= 0) && exchange.pathRefusal === null && hasReadings(path)) {
      if (this.#leadsElsewhere(entry.route, roots, exchange, method, preflight)) exchange.pathRefusal = 'path-ambiguous'
    }
    return null
  }

  /** 404 counts as elsewhere: an endpoint must not serve what the edge does not publish. */
  #leadsElsewhere(
    route: Route,
    roots: readonly number[],
    exchange: Exchange,
    method: string,
    preflight: string | null,
  ): boolean {
    const readings = readingsOf(exchange.path)
    if (readings === null) return true
    for (const reading of readings) {
      if (this.#trie.find(roots, reading, exchange, method, preflight)?.route !== route) return true
    }
    return false
  }

  #miss(roots: readonly number[], key: string, exchange: Exchange): ReasonCode {
    const allowed = this.#trie.allowed(roots, key, exchange)
    if (allowed.size === 0) return 'route-not-found'
    exchange.allow = [...allowed].sort().join(', ')
    return 'method-not-allowed'
  }
}

function preflightMethod(exchange: Exchange): string | null {
  const fields = exchange.request.fields
  return fields.find('origin') < 0 ? null : fields.get('access-control-request-method')
}
