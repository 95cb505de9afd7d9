import { createSecureContext, type SecureContext } from 'node:tls'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Upstream } from '../core/upstream.ts'
import type { Admission } from './admission/admission.ts'
import { RetryBudget } from './admission/retry-budget.ts'
import type { Endpoint } from './endpoints/endpoint.ts'
import type { EndpointSet } from './endpoints/endpoint-set.ts'
import type { EndpointSpec } from './endpoints/endpoint-spec.ts'
import { Forward } from './forward.ts'
import type { HashBy } from './hash-key.ts'
import type { RetryRules } from './retry.ts'
import type { UpstreamSettings } from './shared/settings.ts'
import { ConnectionPool } from './transports/http/connection-pool.ts'
import type { UpstreamTimeouts } from './transports/http/upstream-connection.ts'

/** What an upstream is handed beside its settings. */
export interface UpstreamInputs {
  readonly wheel: TimerWheel
  readonly set: EndpointSet
  readonly admission: Admission
  readonly hashBy: HashBy | null
  /** Retries per second and thread that no budget forbids. */
  readonly retryFloor: number
  /** The PROXY header for an exchange, where the upstream wants one. */
  readonly proxyHeader: ((exchange: Exchange) => Buffer) | null
  /** Told of each repeated attempt. */
  readonly onRetry: (upstream: string) => void
  readonly onAttempt?: AttemptListener
}

/** Told of each attempt that is over, once: `status` is what the endpoint answered with, 0 when it did not. */
export type AttemptListener = (upstream: string, endpoint: Endpoint, status: number) => void

/** Endpoints that are asked over HTTP/1.1: one object per thread and name, new settings make a new one over the same set. */
export class HttpUpstream implements Upstream {
  readonly name: string
  readonly set: EndpointSet
  readonly admission: Admission
  readonly hashBy: HashBy | null
  readonly retry: RetryRules | null
  readonly budget: RetryBudget | null
  readonly wheel: TimerWheel
  readonly proxyHeader: ((exchange: Exchange) => Buffer) | null
  readonly onRetry: (upstream: string) => void
  readonly onAttempt: AttemptListener
  readonly #timeouts: UpstreamTimeouts
  readonly #settings: UpstreamSettings
  readonly #context: SecureContext | null
  /** Marks pools made by these settings, so that a reload that changes them makes new ones. */
  readonly #pools = new Map<Endpoint, ConnectionPool>()

  constructor(settings: UpstreamSettings, inputs: UpstreamInputs) {
    this.name = settings.name
    this.#settings = settings
    this.set = inputs.set
    this.admission = inputs.admission
    this.hashBy = inputs.hashBy
    this.wheel = inputs.wheel
    this.proxyHeader = inputs.proxyHeader
    this.onRetry = inputs.onRetry
    this.onAttempt = inputs.onAttempt ?? ignoreAttempt
    this.retry = settings.retry === null ? null : { attempts: settings.retry.attempts, on: new Set(settings.retry.on) }
    this.budget =
      settings.retry === null
        ? null
        : new RetryBudget(settings.retry.budget, inputs.retryFloor, () => inputs.wheel.now())
    this.#timeouts = {
      connectMs: settings.connectTimeoutMs,
      responseMs: settings.responseTimeoutMs,
      idleMs: settings.idleTimeoutMs,
    }
    this.#context = settings.endpoints.some((endpoint) => endpoint.url.startsWith('https:'))
      ? createSecureContext({
          minVersion: settings.tls?.minVersion ?? 'TLSv1.2',
          ...(settings.tls?.ca ? { ca: settings.tls.ca } : {}),
          ...(settings.tls?.certificate ? { cert: settings.tls.certificate } : {}),
          ...(settings.tls?.key ? { key: settings.tls.key } : {}),
        })
      : null
  }

  forward(exchange: Exchange): void {
    new Forward(this, exchange).start()
  }

  /** The connections to an endpoint. */
  pool(endpoint: Endpoint): ConnectionPool {
    if (endpoint.transport instanceof ConnectionPool && this.#pools.get(endpoint) === endpoint.transport) {
      return endpoint.transport
    }
    const serverName = this.#settings.tls?.serverName ?? endpoint.host
    const pool = new ConnectionPool(
      this.wheel,
      {
        address: endpoint.address ?? endpoint.host,
        port: endpoint.port,
        path: endpoint.unixPath,
        tls:
          endpoint.secure && this.#context !== null ? { context: this.#context, serverName, session: undefined } : null,
      },
      this.#timeouts,
    )
    endpoint.transport = pool
    this.#pools.set(endpoint, pool)
    return pool
  }

  /** New addresses from the resolver: connections to those that left are closed when they are free. */
  update(specs: readonly EndpointSpec[]): void {
    for (const endpoint of this.set.update(specs)) {
      this.#pools.get(endpoint)?.close()
      this.#pools.delete(endpoint)
    }
  }

  /** These settings are no longer in force: what is idle closes, what runs finishes. */
  close(): void {
    for (const pool of this.#pools.values()) pool.close()
    this.#pools.clear()
  }
}

function ignoreAttempt(): void {}
