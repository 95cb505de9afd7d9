import type { Exchange } from '../../core/exchange.ts'
import { F } from '../../http/field-names.ts'
import { parseTraceparent, type Traceparent } from './traceparent.ts'

/** What the path does about trace context. One instance a data thread. */
export interface Tracing {
  /**
   * Once per exchange, after the client is known and before policies run. Sets `exchange.traceparent` and leaves the request's fields as they
   * are to be sent on: at most one `traceparent`, valid, and no `tracestate` without it.
   */
  startSpan(exchange: Exchange): void
  /** Once per exchange, when everything about it is known. */
  endSpan(exchange: Exchange): void
  /** Sends what waits, for at most `deadlineMs`. Never rejects. */
  close(deadlineMs?: number): Promise<void>
}

/** Passes a valid trace context on unchanged and removes an invalid one: what the edge does when no traces are configured. */
export class PassOn implements Tracing {
  startSpan(exchange: Exchange): void {
    takeTraceparent(exchange)
  }

  endSpan(_exchange: Exchange): void {}

  close(_deadlineMs?: number): Promise<void> {
    return Promise.resolve()
  }
}

/**
 * Reads the client's traceparent into `exchange.traceparent`. Returns null when there is none; an invalid one, or more than one, is removed with
 * its tracestate (W3C Trace Context 3.2, 4.3): a tracestate alone says nothing.
 */
export function takeTraceparent(exchange: Exchange): Traceparent | null {
  const { fields } = exchange.request
  const at = fields.findId(F.traceparent)
  if (at < 0) {
    if (fields.findId(F.tracestate) >= 0) fields.remove('tracestate')
    return null
  }
  const text = fields.value(at)
  const isAlone = fields.find('traceparent', at + 1) < 0
  const parsed = isAlone ? parseTraceparent(text) : null
  if (parsed === null) {
    fields.remove('traceparent')
    fields.remove('tracestate')
    return null
  }
  exchange.traceparent = text
  return parsed
}
