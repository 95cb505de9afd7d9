import type { Endpoint } from '../endpoints/endpoint.ts'
import type { BalancerSettings } from '../shared/settings.ts'
import { HashBalancer } from './hash.ts'
import { LatencyBalancer } from './latency.ts'
import { LeastRequestsBalancer } from './least-requests.ts'
import { RoundRobinBalancer } from './round-robin.ts'

/** Chooses among the endpoints that may take a request, in one thread. */
export interface Balancer {
  /** Takes a new list: at least one endpoint, `weights[i] > 0` belongs to `endpoints[i]`. Not on the path of a request. */
  rebuild(endpoints: readonly Endpoint[], weights: Float64Array): void
  /** An endpoint of the list; `avoid` only if it is the only one. @param hash 32 bits of the caller's key. Allocates nothing. */
  pick(hash: number, avoid: Endpoint | null): Endpoint
  /** An endpoint answered after this time. */
  observe(endpoint: Endpoint, latencyMs: number): void
  /** An endpoint failed. */
  failed(endpoint: Endpoint): void
}

/** Makes the balancer of the settings. @param random uniform in [0, 1). @param now ms of a monotonic clock. */
export function createBalancer(settings: BalancerSettings, random: () => number, now: () => number): Balancer {
  switch (settings.name) {
    case 'round-robin':
      return new RoundRobinBalancer(random)
    case 'least-requests':
      return new LeastRequestsBalancer(random)
    case 'latency':
      return new LatencyBalancer(random, now)
    case 'hash':
      return new HashBalancer(settings.loadBound)
  }
}
