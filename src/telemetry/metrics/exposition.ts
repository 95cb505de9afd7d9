import { type Metric, Registry } from 'prom-client'
import type { MetricBook, MetricTotals } from './book.ts'
import { CELL_READERS, type MetricValue } from './cell-values.ts'
import { METRIC_NAMES, METRICS, type MetricName } from './table.ts'

export interface ExpositionSettings {
  /** The product's version, for `sallyport_build_info`. */
  readonly version: string
}

/** Reads the values of a metric that a callback fills: called at each scrape, must not wait. */
export type GaugeReader = () => Iterable<{ readonly labels: Record<string, string>; readonly value: number }>

/** Names of metrics that callbacks fill. */
export type CallbackMetric = {
  [Name in MetricName]: (typeof METRICS)[Name]['source'] extends 'callback' ? Name : never
}[MetricName]

/** Writes all metrics as Prometheus text: prom-client formats them, the values come from the book, from callbacks and from the process. */
export class Exposition {
  readonly #book: MetricBook
  readonly #registry = new Registry()
  readonly #callbacks = new Map<MetricName, GaugeReader>()
  readonly #version: string
  #totals: MetricTotals
  #running: Promise<string> | null = null

  constructor(book: MetricBook, settings: ExpositionSettings) {
    this.#book = book
    this.#version = settings.version
    this.#totals = book.read()
    for (const name of METRIC_NAMES) {
      const { help, type, source } = METRICS[name]
      const read = (): MetricValue[] => {
        if (source === 'cells') return CELL_READERS.get(name)?.(this.#totals) ?? []
        return source === 'process' ? this.#processValues(name) : [...(this.#callbacks.get(name)?.() ?? [])]
      }
      const metric = { name, help, type, get: () => Promise.resolve({ name, help, type, values: read() }) }
      // The registry asks a metric for `name` and `get` only; its types name the library's own classes.
      this.#registry.registerMetric(metric as unknown as Metric)
    }
  }

  readonly contentType: string = Registry.PROMETHEUS_CONTENT_TYPE

  /** Sets who reads a metric of the table whose source is a callback, instead of an earlier one. Its labels are the table's. */
  registerGauge(name: CallbackMetric, read: GaugeReader): void {
    this.#callbacks.set(name, read)
  }

  /** The page as of now. Callers that come while one is being made get the same one. */
  text(): Promise<string> {
    this.#running ??= this.#write().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  #write(): Promise<string> {
    this.#totals = this.#book.read()
    return this.#registry.metrics()
  }

  #processValues(name: MetricName): MetricValue[] {
    switch (name) {
      case 'sallyport_build_info':
        return [{ labels: { version: this.#version, node: process.versions.node }, value: 1 }]
      case 'process_resident_memory_bytes':
        return [{ labels: {}, value: process.memoryUsage.rss() }]
      case 'process_cpu_seconds_total': {
        const { user, system } = process.cpuUsage()
        return [{ labels: {}, value: (user + system) / 1e6 }]
      }
      case 'process_start_time_seconds':
        return [{ labels: {}, value: START_SECONDS }]
      default:
        return []
    }
  }
}

/** Computed once: derived anew from the uptime it would jitter, and a jump means a restart to those who read it. */
const START_SECONDS = Math.round(Date.now() - process.uptime() * 1000) / 1000
