import type { TlsInfo } from '../core/connection-info.ts'
import type { Exchange } from '../core/exchange.ts'
import { isPlainJson, quoteJson } from './json-text.ts'
import { formatMs, LogTime } from './log-time.ts'
import { loggedPath, loggedQuery } from './logged-target.ts'

/** The fields of every access log line, in this order. Absent ones are null. */
export const ACCESS_LOG_FIELDS: readonly string[] = [
  ...['time', 'id', 'client', 'method', 'scheme', 'host', 'path', 'query', 'status', 'outcome', 'route', 'upstream'],
  ...[
    'endpoint',
    'attempts',
    'durationMs',
    'upstreamMs',
    'bytesIn',
    'bytesOut',
    'key',
    'plan',
    'protocol',
    'tls',
    'waf',
  ],
]

/** A connection of a TCP-mode listener as its line shows it. */
export interface LoggedConnection {
  readonly id: string
  /** Milliseconds since 1970, when it was accepted. */
  readonly startedMs: number
  readonly client: string
  readonly outcome: string
  readonly upstream: string | null
  readonly endpoint: string | null
  readonly attempts: number
  readonly durationMs: number
  /** Until the connection to the endpoint stood; null when none did. */
  readonly upstreamMs: number | null
  readonly bytesIn: number
  readonly bytesOut: number
}

/** Names come from the configuration and from DNS; a map that grew beyond this is started anew. */
const NAMES_LIMIT = 20_000
const STATUS_TEXTS: readonly string[] = Array.from({ length: 1000 }, (_, n) => `,"status":${n}`)
const GET_HTTPS = '","method":"GET","scheme":"https","host":"'
const GET_HTTP = '","method":"GET","scheme":"http","host":"'

/**
 * Formats access log lines. Nothing is escaped that need not be and no text is joined twice: what lines have in common is kept, the
 * start of the current millisecond, the parts that name the route and the endpoint. One instance a data thread.
 */
export class AccessLine {
  readonly #time = new LogTime()
  #startMs = Number.NaN
  #start = ''
  /** The parts of a line about an `ok` first attempt: by route up to `endpoint`, by endpoint up to `durationMs`. */
  readonly #routes = new Map<string, RouteText>()
  readonly #endpoints = new Map<string, string>()
  /** By TLS cipher (which implies the version), '' for none: the end of an HTTP/1.1 line without key, plan, verdict and client certificate. */
  readonly #ends = new Map<string, string>()

  /** The line of an exchange, with its newline: ASCII, whatever the peer sent. */
  format(exchange: Exchange): string {
    const { client, host, upstreamMs, route, upstream, endpoint, status } = exchange
    const path = loggedPath(exchange)
    const query = loggedQuery(exchange)
    if (route === null || upstream === null || endpoint === null || upstreamMs === null || path === null) {
      return this.formatAny(exchange)
    }
    const isCommon = exchange.outcome === 'ok' && exchange.attempts === 1 && status > 99 && status < 1000
    const isPlain = isPlainJson(client) && isPlainJson(host) && isPlainJson(path)
    if (!isCommon || !isPlain || client === '' || host === '' || (query !== null && !isPlainJson(query))) {
      return this.formatAny(exchange)
    }
    return (
      this.#startOf(exchange.startedMs) +
      exchange.id +
      '","client":"' +
      client +
      methodText(exchange) +
      host +
      '","path":"' +
      path +
      (query === null ? '","query":null' : `","query":"${query}"`) +
      (STATUS_TEXTS[status] as string) +
      this.#routeOf(route.name, upstream) +
      this.#endpointOf(endpoint) +
      formatMs(exchange.durationMs) +
      ',"upstreamMs":' +
      formatMs(upstreamMs) +
      (exchange.bytesIn === 0 ? ',"bytesIn":0,"bytesOut":' : `,"bytesIn":${count(exchange.bytesIn)},"bytesOut":`) +
      count(exchange.bytesOut) +
      this.#endOf(exchange)
    )
  }

  /** The same line as `format`, without its short cuts: for what is rare. */
  formatAny(exchange: Exchange): string {
    const { connection, request, route, upstreamMs } = exchange
    return (
      `${this.#startOf(exchange.startedMs)}${exchange.id}","client":` +
      textOrNull(exchange.client === '' ? connection.peerIp : exchange.client) +
      `,"method":${textOrNull(request.method)},"scheme":"${exchange.scheme}","host":${textOrNull(exchange.host)}` +
      `,"path":${quoteJson(loggedPath(exchange))},"query":${quoteJson(loggedQuery(exchange))}` +
      `,"status":${exchange.status === 0 ? 'null' : count(exchange.status)},"outcome":${quoteJson(exchange.outcome)}` +
      `,"route":${quoteJson(route === null ? null : route.name)},"upstream":${quoteJson(exchange.upstream)}` +
      `,"endpoint":${quoteJson(exchange.endpoint)},"attempts":${count(exchange.attempts)}` +
      `,"durationMs":${formatMs(exchange.durationMs)},"upstreamMs":${msOrNull(upstreamMs)}` +
      `,"bytesIn":${count(exchange.bytesIn)},"bytesOut":${count(exchange.bytesOut)}` +
      formatEnd(exchange)
    )
  }

  /** The line of a TCP-mode connection: `protocol` is `TCP`, what belongs to requests is null, and `tls` too: it is passed through. */
  formatConnection(connection: LoggedConnection): string {
    return (
      `${this.#startOf(connection.startedMs)}${connection.id}","client":${textOrNull(connection.client)}` +
      ',"method":null,"scheme":null,"host":null,"path":null,"query":null,"status":null' +
      `,"outcome":${quoteJson(connection.outcome)},"route":null,"upstream":${quoteJson(connection.upstream)}` +
      `,"endpoint":${quoteJson(connection.endpoint)},"attempts":${count(connection.attempts)}` +
      `,"durationMs":${formatMs(connection.durationMs)},"upstreamMs":${msOrNull(connection.upstreamMs)}` +
      `,"bytesIn":${count(connection.bytesIn)},"bytesOut":${count(connection.bytesOut)}` +
      `,"key":null,"plan":null,"protocol":"TCP","tls":null,"waf":null}\n`
    )
  }

  /** The line that tells of lines lost while the log could not be written. It has no `id`, and `event` instead of the fields. */
  formatLoss(lines: number, nowMs: number): string {
    return `{"time":"${this.#time.format(nowMs)}","event":"log-lines-dropped","lines":${count(lines)}}\n`
  }

  #startOf(ms: number): string {
    if (ms !== this.#startMs) {
      this.#startMs = ms
      this.#start = `{"time":"${this.#time.format(ms)}","id":"`
    }
    return this.#start
  }

  #routeOf(route: string, upstream: string): string {
    const known = this.#routes.get(route)
    if (known !== undefined && known.upstream === upstream) return known.text
    const text = `,"outcome":"ok","route":${quoteJson(route)},"upstream":${quoteJson(upstream)},"endpoint":`
    if (this.#routes.size >= NAMES_LIMIT) this.#routes.clear()
    this.#routes.set(route, { upstream, text })
    return text
  }

  #endpointOf(endpoint: string): string {
    const known = this.#endpoints.get(endpoint)
    if (known !== undefined) return known
    const text = `${quoteJson(endpoint)},"attempts":1,"durationMs":`
    if (this.#endpoints.size >= NAMES_LIMIT) this.#endpoints.clear()
    this.#endpoints.set(endpoint, text)
    return text
  }

  #endOf(exchange: Exchange): string {
    if (exchange.key !== null || exchange.plan !== null || exchange.waf !== null || exchange.request.minor === 0) {
      return formatEnd(exchange)
    }
    const { tls } = exchange.connection
    if (tls !== null && tls.clientCertificate !== null) return formatEnd(exchange)
    const cipher = tls === null ? '' : tls.cipher
    const known = this.#ends.get(cipher)
    if (known !== undefined) return known
    const text = formatEnd(exchange)
    if (this.#ends.size < 16) this.#ends.set(cipher, text)
    return text
  }
}

/** The upstream was the last one of a route that splits. */
interface RouteText {
  readonly upstream: string
  readonly text: string
}

function methodText(exchange: Exchange): string {
  const { method } = exchange.request
  if (method === 'GET') return exchange.scheme === 'https' ? GET_HTTPS : GET_HTTP
  return `","method":${textOrNull(method)},"scheme":"${exchange.scheme}","host":"`
}

function formatEnd(exchange: Exchange): string {
  const { tls } = exchange.connection
  return (
    `,"key":${quoteJson(exchange.key)},"plan":${quoteJson(exchange.plan)},"protocol":"HTTP/1.${exchange.request.minor}"` +
    `,"tls":${formatTls(tls)},"waf":${quoteJson(exchange.waf)}}\n`
  )
}

/** `clientCertificate` is the subject of the verified one. */
function formatTls(tls: TlsInfo | null): string {
  if (tls === null) return 'null'
  const { version, cipher, clientCertificate } = tls
  return (
    `{"version":${quoteJson(version)},"cipher":${quoteJson(cipher)}` +
    `,"clientCertificate":${quoteJson(clientCertificate === null ? null : clientCertificate.subject)}}`
  )
}

function textOrNull(text: string): string {
  return text === '' ? 'null' : quoteJson(text)
}

function msOrNull(ms: number | null): string {
  return ms === null ? 'null' : formatMs(ms)
}

/** A count as it may stand in JSON, whatever went wrong before. */
function count(n: number): number {
  return n >= 0 && n <= Number.MAX_SAFE_INTEGER ? n : 0
}
