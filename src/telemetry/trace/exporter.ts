import {
  type Context,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { AlwaysOnSampler, BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace'
import type { Exchange } from '../../core/exchange.ts'
import type { TraceSettings } from './create-tracing.ts'
import { RandomIds } from './random-ids.ts'
import {
  clientAttributes,
  clientError,
  clientSpanName,
  serverAttributes,
  serverError,
  serverSpanName,
} from './span-attributes.ts'
import { formatTraceparent } from './traceparent.ts'
import { type Tracing, takeTraceparent } from './tracing.ts'

/** Spans that wait for the collector, per thread: what comes on top is dropped. */
const QUEUE_SPANS = 4096
const BATCH_SPANS = 512
const EXPORT_TIMEOUT_MS = 5000

/** Ids of the spans of an exchange that is recorded. */
interface Open {
  readonly traceId: string
  readonly serverId: string
  readonly clientId: string
  readonly parentId: string | null
}

/**
 * Records a server span and a client span per sampled exchange and exports them in batches. Loaded only when traces are configured.
 *
 * Until an exchange ends only its ids are kept; the spans are made at its end, off the way of the answer.
 */
export class TraceExporter implements Tracing {
  readonly #ids = new RandomIds()
  readonly #provider: TracerProvider
  readonly #tracer
  readonly #ratio: number
  /** The ids the next span gets: they were sent to the endpoint before the span existed. */
  #nextTraceId = ''
  #nextSpanId = ''
  readonly #open = new WeakMap<Exchange, Open>()

  constructor(settings: TraceSettings) {
    this.#ratio = settings.ratio ?? 1
    const exportTimeoutMillis = settings.exportTimeoutMs ?? EXPORT_TIMEOUT_MS
    const exporter = new OTLPTraceExporter({ url: tracesUrl(settings.otlp), timeoutMillis: exportTimeoutMillis })
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({ 'service.name': settings.serviceName ?? 'sallyport' }),
      // The decision falls in startSpan, before there is a span.
      sampler: new AlwaysOnSampler(),
      idGenerator: { generateTraceId: () => this.#nextTraceId, generateSpanId: () => this.#nextSpanId },
      spanProcessors: [
        new BatchSpanProcessor({
          exporter: watched(exporter, settings),
          maxQueueSize: QUEUE_SPANS,
          maxExportBatchSize: BATCH_SPANS,
          scheduledDelayMillis: settings.delayMs ?? 1000,
          exportTimeoutMillis,
        }),
      ],
    })
    this.#tracer = this.#provider.getTracer('sallyport')
  }

  startSpan(exchange: Exchange): void {
    const parent = takeTraceparent(exchange)
    // An unsampled trace is passed on as it came: the edge adds no span, so the caller's stays the parent.
    if (parent !== null && !parent.sampled) return
    const traceId = parent === null ? this.#ids.traceId() : parent.traceId
    const clientId = this.#ids.spanId()
    const sampled = parent !== null || isSampled(traceId, this.#ratio)
    const traceparent = formatTraceparent(traceId, clientId, sampled)
    exchange.traceparent = traceparent
    exchange.request.fields.set('traceparent', traceparent)
    if (!sampled) return
    const parentId = parent === null ? null : parent.parentId
    this.#open.set(exchange, { traceId, serverId: this.#ids.spanId(), clientId, parentId })
  }

  endSpan(exchange: Exchange): void {
    const open = this.#open.get(exchange)
    if (open === undefined) return
    this.#open.delete(exchange)
    const endMs = exchange.startedMs + exchange.durationMs
    this.#nextTraceId = open.traceId
    this.#nextSpanId = open.serverId
    const server = this.#tracer.startSpan(
      serverSpanName(exchange),
      { kind: SpanKind.SERVER, startTime: exchange.startedMs, attributes: serverAttributes(exchange) },
      contextOf(open.traceId, open.parentId, true),
    )
    const serverProblem = serverError(exchange)
    if (serverProblem !== null) server.setStatus({ code: SpanStatusCode.ERROR, message: serverProblem })
    if (exchange.attempts > 0) this.#recordCall(exchange, open, endMs)
    server.end(endMs)
  }

  close(deadlineMs = 2000): Promise<void> {
    return new Promise((resolve) => {
      const deadline = setTimeout(resolve, deadlineMs)
      const done = (): void => {
        clearTimeout(deadline)
        resolve()
      }
      // Failures were told by the exporter.
      this.#provider.shutdown().then(done, done)
    })
  }

  #recordCall(exchange: Exchange, open: Open, endMs: number): void {
    this.#nextSpanId = open.clientId
    const began = performance.timeOrigin + exchange.upstreamStartedMs
    const startMs =
      exchange.upstreamStartedMs > 0 ? Math.min(Math.max(began, exchange.startedMs), endMs) : exchange.startedMs
    const call = this.#tracer.startSpan(
      clientSpanName(exchange),
      { kind: SpanKind.CLIENT, startTime: startMs, attributes: clientAttributes(exchange) },
      contextOf(open.traceId, open.serverId, false),
    )
    const problem = clientError(exchange)
    if (problem !== null) call.setStatus({ code: SpanStatusCode.ERROR, message: problem })
    call.end(endMs)
  }
}

function contextOf(traceId: string, spanId: string | null, isRemote: boolean): Context {
  if (spanId === null) return ROOT_CONTEXT
  const parent: SpanContext = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote }
  return trace.setSpanContext(ROOT_CONTEXT, parent)
}

/** The last 32 bits of a random trace id decide, so that all who know the ratio decide alike. */
function isSampled(traceId: string, ratio: number): boolean {
  return ratio >= 1 || Number.parseInt(traceId.slice(24), 16) < ratio * 0x1_0000_0000
}

/** The place for spans under a collector's base address (OTLP exporter specification: endpoint). */
function tracesUrl(otlp: string): string {
  const base = otlp.endsWith('/') ? otlp.slice(0, -1) : otlp
  return base.endsWith('/v1/traces') ? base : `${base}/v1/traces`
}

/** Counts and tells what the collector did not take. */
function watched(exporter: OTLPTraceExporter, settings: TraceSettings): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        if (result.code !== 0)
          settings.onDropped(spans.length, result.error ?? new Error('the collector refused spans'))
        done(result)
      })
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  }
}
