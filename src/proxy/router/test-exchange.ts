import { ConnectionInfo } from '../../core/connection-info.ts'
import { Exchange, type ExchangeOwner } from '../../core/exchange.ts'
import type { Route, RouteMatch } from '../../core/route.ts'
import type { Snapshot } from '../../core/snapshot.ts'
import type { ClientStream } from '../../http/client-stream.ts'
import { fieldTableOf } from '../../http/field-table.ts'
import { RequestHead } from '../../http/message.ts'
import { readTarget } from '../path/normalise.ts'

/** Makes an exchange for tests and benchmarks of routing: a head, a host and a read target, and no connection behind it. */
export function testExchange(
  target: string,
  method = 'GET',
  host = 'a.test',
  fields: readonly (readonly [string, string])[] = [],
): Exchange {
  const head = new RequestHead()
  head.method = method
  head.target = target
  if (fields.length > 0) Object.assign(head.fields, fieldTableOf(fields))
  const connection = new ConnectionInfo('test', '192.0.2.1', 1, 'http', null, null, null)
  // Routing reads the head only; a stream that is used otherwise fails at once.
  const stream = { head } as unknown as ClientStream
  const exchange = new Exchange(connection, stream, null as unknown as Snapshot, null as unknown as ExchangeOwner)
  exchange.host = host
  exchange.client = '192.0.2.1'
  readTarget(exchange)
  return exchange
}

/** Makes a route for tests and benchmarks of routing; its name is what tests compare. */
export function testRoute(name: string, path: string, match: Partial<RouteMatch> = {}): Route {
  return {
    name,
    match: { host: null, path, methods: null, headers: [], query: [], from: null, ...match },
    targets: [],
    respond: null,
    redirect: null,
    rewrite: null,
    chain: { requestHeaders: null, upstreamRequest: null, responseHeaders: null, log: null },
  }
}
