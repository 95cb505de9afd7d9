import { PassOn, type Tracing } from './tracing.ts'

export interface TraceSettings {
  /** Base address of an OTLP/HTTP collector, such as `http://127.0.0.1:4318`; spans go to `/v1/traces` under it. */
  readonly otlp: string
  /** Share of the traces that begin here which is recorded, 0 to 1. Default 1. Traces that a caller began follow the caller's flag. */
  readonly ratio?: number
  /** Default `sallyport`. */
  readonly serviceName?: string
  /** Longest wait until spans are sent, in ms. Default 1,000. */
  readonly delayMs?: number
  /** How long one export may take, its repetitions included, in ms. Default 5,000. */
  readonly exportTimeoutMs?: number
  /** Called when the collector did not take spans. */
  readonly onDropped: (spans: number, error: Error) => void
}

/** Makes the tracing of a data thread; null: trace context is passed on and nothing is recorded, and nothing is loaded for it. */
export async function createTracing(settings: TraceSettings | null): Promise<Tracing> {
  if (settings === null) return new PassOn()
  const { TraceExporter } = await import('./exporter.ts')
  return new TraceExporter(settings)
}
