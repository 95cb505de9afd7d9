import type { Config } from '../config/root.schema.ts'
import type { MetricBook } from '../telemetry/metrics/book.ts'
import type { Exposition } from '../telemetry/metrics/exposition.ts'
import type { MetricsServer } from '../telemetry/metrics/server.ts'
import { addressText } from './listener-url.ts'
import type { MainService } from './main-service.ts'
import type { Log } from './messages.ts'
import type { UpstreamWatch } from './upstream-watch.ts'

export interface MetricsServiceOptions {
  readonly book: MetricBook
  readonly upstreams: UpstreamWatch
  readonly version: string
  readonly log: Log
}

/** Serves `/metrics` where the configuration says so. The library behind it is only loaded when something does. */
export class MetricsService implements MainService {
  readonly name = 'metrics'
  readonly #options: MetricsServiceOptions
  #exposition: Exposition | null = null
  /** What runs, by its address as text; null: metrics are off. */
  #current: { readonly address: string; readonly server: MetricsServer } | null = null
  #next: { readonly address: string; readonly server: MetricsServer } | null = null
  /** The candidate keeps the running server. */
  #keep = false

  constructor(options: MetricsServiceOptions) {
    this.#options = options
  }

  async prepare(config: Config): Promise<readonly string[]> {
    this.#keep = false
    const metrics = config.telemetry.metrics
    if (metrics === null) return []
    const { address } = metrics
    const text = addressText(address)
    if ('path' in address) return [`telemetry.metrics.address: ${text} is a unix socket; use an IP address and port`]
    if (this.#current?.address === text) {
      this.#keep = true
      return []
    }
    const { MetricsServer } = await import('../telemetry/metrics/server.ts')
    this.#exposition ??= await this.#createExposition()
    try {
      const server = await MetricsServer.listen(address, this.#exposition)
      this.#next = { address: text, server }
      return []
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      return [`telemetry.metrics.address: cannot listen (${reason})`]
    }
  }

  async commit(): Promise<void> {
    if (this.#keep) return
    const before = this.#current
    this.#current = this.#next
    this.#next = null
    if (this.#current !== null)
      this.#options.log('info', 'metrics-listening', `metrics at http://${this.#where(this.#current)}/metrics`)
    await before?.server.close()
  }

  async abort(): Promise<void> {
    const next = this.#next
    this.#next = null
    await next?.server.close()
  }

  async close(): Promise<void> {
    await this.abort()
    await this.#current?.server.close()
    this.#current = null
  }

  #where({ address, server }: { address: string; server: MetricsServer }): string {
    return `${address.slice(0, address.lastIndexOf(':'))}:${server.port}`
  }

  async #createExposition(): Promise<Exposition> {
    const { book, upstreams, version } = this.#options
    const { Exposition } = await import('../telemetry/metrics/exposition.ts')
    const exposition = new Exposition(book, { version })
    exposition.registerGauge('sallyport_endpoint_healthy', () => upstreams.endpointValues((e) => Number(e.healthy)))
    exposition.registerGauge('sallyport_endpoint_ejected', () => upstreams.endpointValues((e) => Number(e.ejected)))
    exposition.registerGauge('sallyport_endpoint_requests_open', () => upstreams.endpointValues((e) => e.inFlight))
    exposition.registerGauge('sallyport_upstream_queue_length', () => upstreams.upstreamValues((u) => u.waiting))
    exposition.registerGauge('sallyport_upstream_ejections_total', () => upstreams.ejectionTotals())
    return exposition
  }
}
