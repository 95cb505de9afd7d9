import { ConnectionInfo, type TlsInfo } from '../core/connection-info.ts'
import { Exchange } from '../core/exchange.ts'
import type { Route } from '../core/route.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { ClientStream } from '../http/client-stream.ts'
import { RequestHead } from '../http/message.ts'

const TLS: TlsInfo = { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', serverName: null, clientCertificate: null }
const HTTPS = new ConnectionInfo('public', '203.0.113.7', 40000, 'https', TLS, null, null)
const HTTP = new ConnectionInfo('plain', '203.0.113.8', 40001, 'http', null, null, null)
const SNAPSHOT: Snapshot = { generation: 1, routes: [], matcher: { match: () => null }, upstreams: new Map() }

const ignore = (): void => {}

/** A client's side that takes no answer: telemetry reads exchanges and sends nothing. For tests and benchmarks. */
function silentStream(head: RequestHead): ClientStream {
  return {
    head,
    requestDone: true,
    responseStarted: true,
    reading: false,
    setSink: ignore,
    pauseBody: ignore,
    resumeBody: ignore,
    sendInterim: ignore,
    sendHead: ignore,
    sendBody: ignore,
    sendEnd: ignore,
    flush: () => true,
    startTunnel: ignore,
    endTunnel: ignore,
    abort: ignore,
  }
}

/** An exchange of which nothing is known but its connection: how one looks that was refused at once. For tests and benchmarks. */
export function emptyExchange(scheme: 'http' | 'https' = 'https'): Exchange {
  const connection = scheme === 'https' ? HTTPS : HTTP
  const exchange = new Exchange(connection, silentStream(new RequestHead()), SNAPSHOT, {
    reply: ignore,
    ended: ignore,
    defect: ignore,
  })
  exchange.id = '0123456789abcdefghij'
  exchange.scheme = scheme
  exchange.startedMs = 1767225600123
  return exchange
}

/** A proxied GET that ended well. For tests and benchmarks. @param n makes exchanges differ. */
export function typicalExchange(n = 0): Exchange {
  const exchange = emptyExchange()
  // As the parser makes them: slices of the head's text.
  const text = `GET /orders/${n}/items?page=2&size=50 HTTP/1.1\r\nHost: api.example.com\r\n\r\n`
  const mark = text.indexOf('?')
  const end = text.indexOf(' HTTP')
  exchange.request.method = 'GET'
  exchange.request.target = text.slice(4, end)
  exchange.client = '203.0.113.7'
  exchange.host = 'api.example.com'
  exchange.authority = 'api.example.com'
  exchange.path = text.slice(4, mark)
  exchange.query = text.slice(mark + 1, end)
  exchange.hasQuery = true
  exchange.route = routeNamed('orders', '/orders/{id}/*')
  exchange.upstream = 'orders'
  exchange.endpoint = '10.0.1.10:8080'
  exchange.attempts = 1
  exchange.upstreamMs = 12.5
  exchange.durationMs = 13.875
  exchange.status = 200
  exchange.bytesOut = 200 + (n % 4000)
  return exchange
}

/** A route with a name and a path template, and nothing else. For tests and benchmarks. */
export function routeNamed(name: string, path: string): Route {
  const match = { host: null, path, methods: null, headers: [], query: [], from: null }
  const chain = { requestHeaders: null, upstreamRequest: null, responseHeaders: null, log: null }
  return { name, match, targets: null, respond: null, redirect: null, rewrite: null, chain }
}
