import type { Exchange } from '../core/exchange.ts'
import { writeProxyV1, writeProxyV2 } from '../listener/proxy-protocol/write.ts'
import type { EndpointSetSettings } from '../upstream/endpoints/endpoint-set.ts'
import type { HashBy } from '../upstream/hash-key.ts'
import type { UpstreamSettings } from '../upstream/shared/settings.ts'
import type { UpstreamConfig } from './root.schema.ts'

/** The settings of one upstream in the words of `src/upstream`. */
export function upstreamSettings(name: string, config: UpstreamConfig): UpstreamSettings {
  const { healthCheck, ejection, concurrency, retry, timeouts, tls } = config
  return {
    name,
    endpoints: config.endpoints.map(({ url, weight, zone }) => ({
      url: `${url.scheme}://${url.host.includes(':') ? `[${url.host}]` : url.host}:${url.port}`,
      weight,
      zone,
    })),
    balancer: { name: config.balancer, loadBound: null },
    healthCheck:
      healthCheck === null
        ? null
        : {
            path: healthCheck.path,
            host: null,
            statuses: null,
            intervalMs: healthCheck.interval,
            timeoutMs: healthCheck.timeout,
            healthyAfter: healthCheck.healthyAfter,
            unhealthyAfter: healthCheck.unhealthyAfter,
          },
    ejection:
      ejection === null
        ? null
        : {
            consecutiveFailures: ejection.consecutiveFailures,
            forMs: ejection.for,
            maxShare: ejection.maxShare,
          },
    concurrency:
      concurrency === null
        ? null
        : { limit: concurrency.limit, queue: concurrency.queue, queueTimeoutMs: concurrency.queueTimeout },
    retry: retry === null ? null : { attempts: retry.attempts, on: retry.on, budget: retry.budget },
    slowStartMs: config.slowStart ?? 0,
    dnsRefreshMs: config.dns.refresh,
    connectTimeoutMs: timeouts.connect,
    responseTimeoutMs: timeouts.response,
    idleTimeoutMs: timeouts.idle,
    tls,
    proxyProtocol: config.proxyProtocol,
  }
}

/** The part of the settings that the choice of an endpoint needs. */
export function endpointSetSettings(settings: UpstreamSettings, ownZone: string | null): EndpointSetSettings {
  const { balancer, ejection, slowStartMs } = settings
  return { balancer, ejection, slowStartMs, ownZone }
}

/** What the hash balancer looks at; null for the other balancers. */
export function hashBy(config: UpstreamConfig): HashBy | null {
  if (config.hash === null) return null
  const { source, name } = config.hash.by
  return source === 'client' || name === null ? { kind: 'client' } : { kind: source, name }
}

/** Makes the PROXY header for an exchange: its resolved client as the source; null where none is sent. */
export function proxyHeader(version: 'v1' | 'v2' | null): ((exchange: Exchange) => Buffer) | null {
  if (version === null) return null
  const write = version === 'v1' ? writeProxyV1 : writeProxyV2
  return (exchange) => {
    const { client, connection } = exchange
    const { destination, peerIp, peerPort } = connection
    return write({
      sourceIp: client,
      sourcePort: client === peerIp ? peerPort : 0,
      destinationIp: destination?.ip ?? 'unknown',
      destinationPort: destination?.port ?? 0,
    })
  }
}
