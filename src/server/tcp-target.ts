import type { TcpEndpoint, TcpTarget } from '../listener/tcp-mode.ts'
import { hashText } from '../upstream/balancers/hash-text.ts'
import type { Endpoint } from '../upstream/endpoints/endpoint.ts'
import type { UpstreamGroup } from '../upstream/upstream-group.ts'

/** Chooses the endpoints of TCP connections among those of an upstream, as the current configuration has it. */
export class UpstreamTcpTarget implements TcpTarget {
  readonly #upstreams: UpstreamGroup
  readonly #name: string

  constructor(upstreams: UpstreamGroup, name: string) {
    this.#upstreams = upstreams
    this.#name = name
  }

  pick(peerIp: string, tried: readonly TcpEndpoint[]): TcpEndpoint | null {
    const set = this.#upstreams.get(this.#name)?.set
    const failed =
      tried.length === 0 ? null : tried.flatMap((one) => (one instanceof PickedEndpoint ? [one.endpoint] : []))
    const endpoint = set?.pick(hashText(peerIp), failed?.at(-1) ?? null, failed) ?? null
    if (endpoint === null || failed?.includes(endpoint)) return null
    return new PickedEndpoint(endpoint)
  }
}

/** One connection's use of an endpoint: counted in its cells, so that balancing and ejection see it. */
class PickedEndpoint implements TcpEndpoint {
  readonly endpoint: Endpoint
  readonly host: string
  readonly port: number
  readonly path?: string

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint
    this.host = endpoint.address ?? endpoint.host
    this.port = endpoint.port
    if (endpoint.unixPath !== null) this.path = endpoint.unixPath
  }

  started(): void {
    this.endpoint.started()
  }

  finished(ok: boolean): void {
    // How long a connection lasted says nothing about an endpoint's speed: 0 only ends a row of failures.
    if (ok) this.endpoint.succeeded(0)
    else this.endpoint.failed()
    this.endpoint.finished()
  }
}
