import type { Config } from '../config/root.schema.ts'
import { clearCountCell, createCountCells } from '../listener/shared-count.ts'
import type { MetricBook } from '../telemetry/metrics/book.ts'
import type { MetricNames } from '../telemetry/metrics/layout.ts'
import type { MetricGrant } from '../telemetry/metrics/recorder.ts'
import { createTurnMemory, releaseTurnOf } from '../telemetry/write-turn.ts'
import { createUpstreamCells, UpstreamCells } from '../upstream/shared/cells.ts'
import { clearThread } from '../upstream/shared/clear-thread.ts'
import { sharedNowMs } from '../upstream/shared/clock.ts'
import { listenerKey } from './listener-url.ts'
import { createTicketKeys } from './ticket-keys.ts'

/** What all threads share under one configuration: plain buffers, so that a message can carry them. */
export interface SharedMemory {
  /** Cells of each upstream, by its name. An upstream that a reload keeps keeps its cells. */
  readonly upstreams: Readonly<Record<string, SharedArrayBuffer>>
  /** Open connections of each listener, by `listenerKey`. */
  readonly connections: Readonly<Record<string, Int32Array>>
  /** 48 bytes: the keys of TLS session tickets as they are now. */
  readonly ticketKeys: SharedArrayBuffer
  /** Whose turn it is to write to the access log. */
  readonly accessLogTurn: SharedArrayBuffer
}

/** Owns the shared memory in the main thread, across reloads and deaths of threads. */
export interface MemoryKeeper {
  /** The memory for a candidate configuration: what it shares with the current one is the same memory. */
  prepare(config: Config): SharedMemory
  /** The candidate is current. */
  commit(): void
  abort(): void
  /** The cells this thread is to count in; null when it has them already. */
  metricsFor(slot: number): MetricGrant | null
  /** Takes back what a dead thread held: requests in flight, queue places, connections, the log's turn. */
  freeShares(slot: number): void
  /** Writes new TLS ticket keys; for threads that start later. */
  setTicketKeys(keys: Uint8Array): void
}

/** The room an upstream's cells have beyond the endpoints in the file: names may resolve to many addresses. */
const SPARE_ENDPOINTS = 64

/**
 * The real memory. What a configuration no longer names is dropped here and lives on as long as a thread still holds it:
 * a name that comes back in a later reload starts from zero, while old connections still count in the old cells.
 */
export class SharedMemoryKeeper implements MemoryKeeper {
  readonly #threads: number
  readonly #book: MetricBook
  /** Threads that count under all names that the book has. */
  readonly #granted = new Set<number>()
  readonly #ticketKeys = new SharedArrayBuffer(48)
  readonly #accessLogTurn = createTurnMemory()
  #current: SharedMemory | null = null
  #candidate: SharedMemory | null = null
  /** Memory of earlier configurations: a thread that dies may still hold shares in it. Weak, so that it can go. */
  #all: WeakRef<SharedMemory>[] = []

  constructor(threads: number, book: MetricBook) {
    this.#threads = threads
    this.#book = book
    this.setTicketKeys(createTicketKeys())
  }

  prepare(config: Config): SharedMemory {
    const upstreams: Record<string, SharedArrayBuffer> = {}
    for (const [name, upstream] of Object.entries(config.upstreams)) {
      const room = upstream.endpoints.length + SPARE_ENDPOINTS
      const known = this.#current?.upstreams[name]
      // More endpoints than the cells can hold: new cells, twice as large. Only then does a reload forget health and counts.
      const fits = known !== undefined && new UpstreamCells(known).maxEndpoints >= upstream.endpoints.length
      upstreams[name] = fits ? known : createUpstreamCells(sharedNowMs(), room * 2, this.#threads).buffer
    }
    const connections: Record<string, Int32Array> = {}
    for (const [name, listener] of Object.entries(config.listeners)) {
      const key = listenerKey(name, listener.address)
      connections[key] = this.#current?.connections[key] ?? createCountCells(this.#threads)
    }
    this.#candidate = {
      upstreams,
      connections,
      ticketKeys: this.#ticketKeys,
      accessLogTurn: this.#accessLogTurn,
    }
    if (this.#book.setNames(metricNames(config))) this.#granted.clear()
    return this.#candidate
  }

  metricsFor(slot: number): MetricGrant | null {
    if (this.#granted.has(slot)) return null
    this.#granted.add(slot)
    return this.#book.grant(slot)
  }

  commit(): void {
    if (this.#candidate === null) return
    this.#current = this.#candidate
    this.#candidate = null
    this.#all = this.#all.filter((memory) => memory.deref() !== undefined)
    this.#all.push(new WeakRef(this.#current))
  }

  abort(): void {
    this.#candidate = null
  }

  freeShares(slot: number): void {
    const cells = new Set<SharedArrayBuffer>()
    const counts = new Set<Int32Array>()
    for (const memory of [...this.#all.map((known) => known.deref()), this.#candidate]) {
      for (const buffer of Object.values(memory?.upstreams ?? {})) cells.add(buffer)
      for (const count of Object.values(memory?.connections ?? {})) counts.add(count)
    }
    for (const buffer of cells) clearThread(new UpstreamCells(buffer), slot)
    for (const count of counts) clearCountCell(count, slot)
    this.#book.threadEnded(slot)
    this.#granted.delete(slot)
    releaseTurnOf(this.#accessLogTurn, slot + 1)
  }

  setTicketKeys(keys: Uint8Array): void {
    new Uint8Array(this.#ticketKeys).set(keys)
  }
}

/** Everything in a configuration that has figures of its own. */
function metricNames(config: Config): MetricNames {
  const upstreams = Object.keys(config.upstreams)
  return {
    listeners: Object.keys(config.listeners),
    routes: config.routes.map((route) => route.name),
    upstreams,
    endpoints: upstreams.flatMap((upstream) =>
      config.upstreams[upstream].endpoints.map(({ url }) => ({ upstream, endpoint: hostPort(url) })),
    ),
  }
}

function hostPort({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
