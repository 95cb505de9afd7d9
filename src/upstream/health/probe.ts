import { request } from 'node:http'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { EndpointSpec } from '../endpoints/endpoint-spec.ts'
import type { HealthCheckSettings, UpstreamTlsSettings } from '../shared/settings.ts'

/** Everything a check needs to know beside the endpoint. */
export interface ProbeSettings {
  readonly check: HealthCheckSettings
  /** As for traffic: the endpoint's certificate is always verified. */
  readonly tls: UpstreamTlsSettings | null
  /** A PROXY protocol header to send first; null for none. */
  readonly prelude: Buffer | null
}

/**
 * Checks an endpoint once. `onResult` is called exactly once, with null when it is healthy, else with what is wrong in few words.
 * Returns a function that gives the check up without a result.
 */
export function probe(
  endpoint: EndpointSpec,
  settings: ProbeSettings,
  onResult: (problem: string | null) => void,
): () => void {
  let isOver = false
  let socket: Socket | null = null
  const timer = setTimeout(() => finish('timeout'), settings.check.timeoutMs)
  timer.unref()
  socket = dial(endpoint, settings, {
    onSocket: (next) => {
      socket = next
      if (isOver) next.destroy()
    },
    onError: (error) => finish(error.message),
    onReady: (ready) => {
      if (isOver) return
      if (settings.check.path === null) finish(null)
      else get(endpoint, settings.check, settings.check.path, ready, finish)
    },
  })
  function finish(problem: string | null): void {
    if (isOver) return
    giveUp()
    onResult(problem)
  }
  function giveUp(): void {
    isOver = true
    clearTimeout(timer)
    socket?.destroy()
  }
  return giveUp
}

interface DialEvents {
  /** TLS took the place of the TCP socket. */
  onSocket(socket: Socket): void
  onReady(socket: Socket): void
  onError(error: Error): void
}

function dial(endpoint: EndpointSpec, settings: ProbeSettings, events: DialEvents): Socket {
  const socket =
    endpoint.unixPath === null
      ? connectTcp({ host: endpoint.address ?? endpoint.host, port: endpoint.port })
      : connectTcp({ path: endpoint.unixPath })
  socket.on('error', events.onError)
  socket.on('connect', () => {
    // What Node throws here (a path with a space, a broken PEM text) is a failed check, not the end of the main thread.
    try {
      if (settings.prelude !== null) socket.write(settings.prelude)
      if (endpoint.secure) secure(socket, endpoint, settings.tls, events)
      else events.onReady(socket)
    } catch (error) {
      events.onError(error instanceof Error ? error : new Error(String(error)))
    }
  })
  return socket
}

function secure(socket: Socket, endpoint: EndpointSpec, tls: UpstreamTlsSettings | null, events: DialEvents): void {
  const serverName = tls?.serverName ?? endpoint.host
  const secured = connectTls({
    socket,
    host: serverName,
    servername: isIP(serverName) === 0 ? serverName : '',
    minVersion: tls?.minVersion ?? 'TLSv1.2',
    ...(tls === null || tls.ca === null ? null : { ca: tls.ca }),
    ...(tls === null || tls.certificate === null || tls.key === null ? null : { cert: tls.certificate, key: tls.key }),
  })
  events.onSocket(secured)
  secured.on('error', events.onError)
  secured.on('secureConnect', () => {
    try {
      events.onReady(secured)
    } catch (error) {
      events.onError(error instanceof Error ? error : new Error(String(error)))
    }
  })
}

function get(
  endpoint: EndpointSpec,
  check: HealthCheckSettings,
  path: string,
  socket: Socket,
  finish: (problem: string | null) => void,
): void {
  const host = check.host ?? (endpoint.unixPath === null ? endpoint.label : 'localhost')
  const call = request({
    path,
    headers: { Host: host, 'User-Agent': 'sallyport-health', Accept: '*/*', Connection: 'close' },
    createConnection: () => socket,
  })
  call.on('error', (error) => finish(error.message))
  call.on('response', (response) => {
    const status = response.statusCode ?? 0
    // Its body does not matter and may be endless; the socket is closed by `finish`.
    response.on('error', () => {})
    finish(isExpected(status, check.statuses) ? null : `status ${status}`)
  })
  call.end()
}

function isExpected(status: number, statuses: readonly number[] | null): boolean {
  return statuses === null ? status >= 200 && status < 400 : statuses.includes(status)
}
