import type { ReasonCode } from '../../base/errors.ts'
import type { Exchange } from '../../core/exchange.ts'
import { OUTCOMES, type Outcome } from '../../core/outcome.ts'
import {
  computeLayout,
  ENDPOINT,
  endpointKey,
  LISTENER,
  type MetricLayout,
  type MetricNames,
  ROUTE,
  THREAD,
  UPSTREAM,
} from './layout.ts'
import { BUCKETS_MS, LOGS } from './table.ts'

const OUTCOME_NUMBERS = new Map<Outcome, number>(OUTCOMES.map((outcome, number) => [outcome, number]))
const BUCKETS = Float64Array.from(BUCKETS_MS)

/** What the main thread gives a data thread to count in. */
export interface MetricGrant {
  readonly names: MetricNames
  readonly cells: SharedArrayBuffer
}

/**
 * Counts what happens in one data thread. Numbers of listeners, routes, upstreams and endpoints come from the `…Number`
 * methods, once when a configuration is compiled; they stay valid over reloads. A number of -1 means none.
 *
 * Only this thread writes these cells, so nothing is locked: an aligned 64-bit store is one store on every machine Node runs on, and the
 * main thread reads the old value or the new one.
 */
export class Recorder {
  #cells: Float64Array
  #layout: MetricLayout
  #routes = new Map<string, number>()
  #upstreams = new Map<string, number>()
  #listeners = new Map<string, number>()
  #endpoints = new Map<string, number>()

  constructor(grant: MetricGrant) {
    this.#layout = computeLayout(grant.names)
    this.#cells = new Float64Array(grant.cells)
    this.#index()
  }

  /** Counts in new cells from now on, after a reload brought new names. The main thread adds the old ones up as well. */
  adopt(grant: MetricGrant): void {
    this.#layout = computeLayout(grant.names)
    this.#cells = new Float64Array(grant.cells)
    this.#index()
  }

  routeNumber(name: string): number {
    return this.#routes.get(name) ?? -1
  }

  upstreamNumber(name: string): number {
    return this.#upstreams.get(name) ?? -1
  }

  listenerNumber(name: string): number {
    return this.#listeners.get(name) ?? -1
  }

  endpointNumber(upstream: string, endpoint: string): number {
    return this.#endpoints.get(endpointKey({ upstream, endpoint })) ?? -1
  }

  /** Counts an exchange that has ended. @param route, upstream their numbers, -1 when it had none. */
  exchangeEnded(exchange: Exchange, route: number, upstream: number): void {
    const cells = this.#cells
    const layout = this.#layout
    const { durationMs, outcome } = exchange
    add(cells, THREAD.outcomes + (outcome === 'ok' ? 0 : outcomeNumber(outcome)), 1)
    // Route -1 falls on the row before the first: the one of requests without a route.
    const at = layout.routes + route * ROUTE.size
    add(cells, at + ROUTE.statuses + statusClass(exchange.status), 1)
    add(cells, at + ROUTE.buckets + bucketOf(durationMs), 1)
    add(cells, at + ROUTE.sumMs, durationMs)
    if (exchange.bytesIn !== 0) add(cells, at + ROUTE.bytesIn, exchange.bytesIn)
    if (exchange.bytesOut !== 0) add(cells, at + ROUTE.bytesOut, exchange.bytesOut)
    if (upstream < 0) return
    const upstreamAt = layout.upstreams + upstream * UPSTREAM.size
    const { upstreamMs } = exchange
    if (upstreamMs !== null) {
      add(cells, upstreamAt + UPSTREAM.buckets + bucketOf(upstreamMs), 1)
      add(cells, upstreamAt + UPSTREAM.sumMs, upstreamMs)
    }
    if (exchange.attempts > 1) add(cells, upstreamAt + UPSTREAM.retries, exchange.attempts - 1)
  }

  /** Counts one attempt at an endpoint. @param status what it answered with, 0 when it did not. */
  attemptEnded(endpoint: number, status: number): void {
    if (endpoint < 0) return
    add(this.#cells, this.#layout.endpoints + endpoint * ENDPOINT.size + statusClass(status), 1)
  }

  connectionOpened(listener: number): void {
    this.#addListener(listener, LISTENER.accepted, 1)
    this.#addListener(listener, LISTENER.open, 1)
  }

  connectionClosed(listener: number): void {
    this.#addListener(listener, LISTENER.open, -1)
  }

  /** Counts a connection that was refused before it had an exchange. */
  connectionRefused(code: ReasonCode): void {
    add(this.#cells, THREAD.connectionRefusals + outcomeNumber(code), 1)
  }

  handshakeEnded(listener: number, isOk: boolean): void {
    this.#addListener(listener, isOk ? LISTENER.tlsOk : LISTENER.tlsFailed, 1)
  }

  /** Counts a connection of a TCP-mode listener that has ended. */
  tcpEnded(listener: number, outcome: Outcome, bytesIn: number, bytesOut: number): void {
    this.#addListener(listener, LISTENER.tcpReceived, bytesIn)
    this.#addListener(listener, LISTENER.tcpSent, bytesOut)
    if (outcome !== 'ok') this.connectionRefused(outcome)
  }

  /** Counts attempts after the first of a TCP-mode connection. */
  tcpRetried(upstream: number, retries: number): void {
    if (upstream >= 0) add(this.#cells, this.#layout.upstreams + upstream * UPSTREAM.size + UPSTREAM.retries, retries)
  }

  logLinesDropped(log: (typeof LOGS)[number], lines: number): void {
    add(this.#cells, THREAD.logDropped + LOGS.indexOf(log), lines)
  }

  spansDropped(spans: number): void {
    add(this.#cells, THREAD.spansDropped, spans)
  }

  /** Notes how late a timer of this thread fired. */
  loopLag(ms: number): void {
    this.#cells[THREAD.loopLagMs] = ms
  }

  #addListener(listener: number, cell: number, n: number): void {
    if (listener >= 0) add(this.#cells, this.#layout.listeners + listener * LISTENER.size + cell, n)
  }

  #index(): void {
    const { names } = this.#layout
    this.#routes = numbersOf(names.routes)
    this.#upstreams = numbersOf(names.upstreams)
    this.#listeners = numbersOf(names.listeners)
    this.#endpoints = numbersOf(names.endpoints.map(endpointKey))
  }
}

function add(cells: Float64Array, at: number, n: number): void {
  cells[at] = (cells[at] as number) + n
}

function outcomeNumber(outcome: Outcome): number {
  return OUTCOME_NUMBERS.get(outcome) ?? 0
}

function statusClass(status: number): number {
  return status >= 100 && status < 600 ? (status / 100) | 0 : 0
}

function bucketOf(ms: number): number {
  let bucket = 0
  while (bucket < BUCKETS.length && ms > (BUCKETS[bucket] as number)) bucket++
  return bucket
}

function numbersOf(names: readonly string[]): Map<string, number> {
  return new Map(names.map((name, number) => [name, number]))
}
