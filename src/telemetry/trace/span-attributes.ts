import type { Attributes } from '@opentelemetry/api'
import { REASONS } from '../../base/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import { loggedPath, loggedQuery } from '../logged-target.ts'

/** Methods that semantic conventions know; others are `_OTHER`, so that a peer cannot make names. */
const METHODS: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY'],
])

/** Name of the server span: method and route template, as the HTTP semantic conventions ask. */
export function serverSpanName(exchange: Exchange): string {
  const { method } = exchange.request
  const known = METHODS.has(method) ? method : 'HTTP'
  return exchange.route === null ? known : `${known} ${exchange.route.match.path}`
}

/** Name of the client span. */
export function clientSpanName(exchange: Exchange): string {
  return METHODS.has(exchange.request.method) ? exchange.request.method : 'HTTP'
}

/** Attributes of the server span, by the HTTP semantic conventions. */
export function serverAttributes(exchange: Exchange): Attributes {
  const { connection, request, route, status, client } = exchange
  const attributes: Attributes = {
    ...methodAttributes(exchange),
    'url.scheme': exchange.scheme,
    'url.path': loggedPath(exchange) ?? '',
    'network.protocol.name': 'http',
    'network.protocol.version': `1.${request.minor}`,
    'network.peer.address': connection.peerIp,
    'client.address': client === '' ? connection.peerIp : client,
    'sallyport.request.id': exchange.id,
    'sallyport.outcome': exchange.outcome,
  }
  const query = loggedQuery(exchange)
  if (query !== null && query !== '') attributes['url.query'] = query
  if (exchange.host !== '') attributes['server.address'] = exchange.host
  const port = portOf(exchange.authority)
  if (port !== null) attributes['server.port'] = port
  if (route !== null) {
    attributes['http.route'] = route.match.path
    attributes['sallyport.route'] = route.name
  }
  if (status !== 0) attributes['http.response.status_code'] = status
  if (exchange.upstream !== null) attributes['sallyport.upstream'] = exchange.upstream
  const error = serverError(exchange)
  if (error !== null) attributes['error.type'] = error
  return attributes
}

/** Attributes of the client span: the call of the endpoint. */
export function clientAttributes(exchange: Exchange): Attributes {
  const { endpoint, status, upstreamMs } = exchange
  const attributes: Attributes = { ...methodAttributes(exchange), 'url.path': loggedPath(exchange) ?? '' }
  if (endpoint !== null) {
    const port = portOf(endpoint)
    attributes['server.address'] = port === null ? endpoint : endpoint.slice(0, endpoint.lastIndexOf(':'))
    if (port !== null) attributes['server.port'] = port
  }
  if (upstreamMs !== null && status !== 0) attributes['http.response.status_code'] = status
  if (exchange.attempts > 1) attributes['http.request.resend_count'] = exchange.attempts - 1
  const error = clientError(exchange)
  if (error !== null) attributes['error.type'] = error
  return attributes
}

/** What made the exchange an error in the eyes of the server: a reason code or the status; null when it was none. */
export function serverError(exchange: Exchange): string | null {
  const { outcome, status } = exchange
  const isFault = status >= 500 || status === 0
  if (outcome !== 'ok') return isFault || REASONS[outcome].fault === 'upstream' ? outcome : null
  return isFault ? String(status) : null
}

/** What made the call of the endpoint an error: 4xx counts here, because the caller is the edge. */
export function clientError(exchange: Exchange): string | null {
  const { outcome, status } = exchange
  if (outcome !== 'ok') return REASONS[outcome].fault === 'upstream' ? outcome : null
  return status >= 400 ? String(status) : null
}

function methodAttributes(exchange: Exchange): Attributes {
  const { method } = exchange.request
  if (METHODS.has(method)) return { 'http.request.method': method }
  return { 'http.request.method': '_OTHER', 'http.request.method_original': method }
}

/** The port at the end of `host:port` or `[v6]:port`; null when there is none. */
function portOf(authority: string): number | null {
  const colon = authority.lastIndexOf(':')
  if (colon < 0 || authority.endsWith(']')) return null
  const port = Number(authority.slice(colon + 1))
  return Number.isInteger(port) && port > 0 && port < 65536 ? port : null
}
