/** Settings of one upstream, compiled from the configuration: plain data that can be sent to a thread. */
export interface UpstreamSettings {
  readonly name: string
  readonly endpoints: readonly EndpointSettings[]
  readonly balancer: BalancerSettings
  /** Null: endpoints count as healthy until they are ejected. */
  readonly healthCheck: HealthCheckSettings | null
  /** Null: no passive ejection. */
  readonly ejection: EjectionSettings | null
  /** Null: no limit. */
  readonly concurrency: ConcurrencySettings | null
  /** Null: no retry but that of a stale reused connection. */
  readonly retry: RetrySettings | null
  /** Time over which an endpoint that came back or was added grows to its weight; 0: at once. */
  readonly slowStartMs: number
  /** How often names are resolved again, at least MIN_DNS_REFRESH_MS. */
  readonly dnsRefreshMs: number
  readonly connectTimeoutMs: number
  /** From the last request byte to the response head; Infinity for none. */
  readonly responseTimeoutMs: number
  /** Gap between body bytes; Infinity for none. */
  readonly idleTimeoutMs: number
  readonly tls: UpstreamTlsSettings | null
  readonly proxyProtocol: 'v1' | 'v2' | null
}

export interface EndpointSettings {
  /** `http://host:port`, `https://host:port`, `tcp://host:port` or `unix:/path`. */
  readonly url: string
  /** Share relative to the others, >= 0; 0 takes no requests. */
  readonly weight: number
  readonly zone: string | null
}

export type BalancerName = 'round-robin' | 'least-requests' | 'latency' | 'hash'

export interface BalancerSettings {
  readonly name: BalancerName
  /** `hash` only: how far over the mean an endpoint may be loaded before its keys go on, > 1 (such as 1.25); null: no bound. */
  readonly loadBound: number | null
}

export interface HealthCheckSettings {
  /** Asked with GET; null: a TCP connection (and TLS handshake for https) is enough. */
  readonly path: string | null
  /** Host field; null: the endpoint's own `host:port`. */
  readonly host: string | null
  /** Statuses that count as healthy; null: 200 to 399. */
  readonly statuses: readonly number[] | null
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Good checks in a row that bring an endpoint back, >= 1. */
  readonly healthyAfter: number
  /** Failed checks in a row that take it out, >= 1. The very first check decides alone. */
  readonly unhealthyAfter: number
}

export interface EjectionSettings {
  /** Failures in a row, over all threads, >= 1. */
  readonly consecutiveFailures: number
  /** Length of the first ejection; the nth lasts n times as long, up to 10 times. */
  readonly forMs: number
  /** Share of the endpoints that may be ejected at once, 0 to 1; above 0 always at least one. */
  readonly maxShare: number
}

export interface ConcurrencySettings {
  /** Requests at once over all threads, >= 0; 0 lets none pass. */
  readonly limit: number
  /** Requests that may wait over all threads, >= 0. */
  readonly queue: number
  readonly queueTimeoutMs: number
}

export interface RetrySettings {
  /** Attempts in all, the first included, >= 1. */
  readonly attempts: number
  /** `connect`, `reset`, `timeout` or a status as text. */
  readonly on: readonly string[]
  /** Retries as a share of requests, 0 to 1; 1 lifts the budget. */
  readonly budget: number
}

/** PEM texts, not paths. */
export interface UpstreamTlsSettings {
  /** Null: the public roots. */
  readonly ca: string | null
  /** Name to verify and to send as SNI; null: the endpoint's host. */
  readonly serverName: string | null
  readonly certificate: string | null
  readonly key: string | null
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
}

/** The shortest time between two look-ups of one name. */
export const MIN_DNS_REFRESH_MS = 1000
