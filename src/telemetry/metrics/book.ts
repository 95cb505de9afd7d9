import {
  computeLayout,
  createCells,
  LISTENER,
  type MetricLayout,
  type MetricNames,
  mergeNames,
  NO_NAMES,
  ROUTE,
  THREAD,
} from './layout.ts'
import type { MetricGrant } from './recorder.ts'

/** Cells of one thread, and how to read them. */
interface Page {
  readonly layout: MetricLayout
  readonly cells: Float64Array
}

/** Everything added up, in the layout of the present names. */
export interface MetricTotals {
  readonly layout: MetricLayout
  readonly cells: Float64Array
  /** Lag of each running thread's loop: its number and milliseconds. */
  readonly loopLags: readonly (readonly [thread: number, ms: number])[]
}

/**
 * Keeps the cells of all data threads, in the main thread. Counters never go back: what a dead thread counted is kept, and so is what was counted
 * under the names of before a reload. What a dead thread had open is not: it died with it.
 */
export class MetricBook {
  #layout: MetricLayout = computeLayout(NO_NAMES)
  readonly #threads = new Map<number, Page[]>()
  /** Sum over the threads that have ended. */
  #ended: Page = { layout: this.#layout, cells: new Float64Array(this.#layout.length) }

  /** Takes the names of a configuration that is about to start. Returns true when there are new ones: every running thread then needs a new grant. */
  setNames(names: MetricNames): boolean {
    const merged = mergeNames(this.#layout.names, names)
    if (merged === this.#layout.names) return false
    this.#layout = computeLayout(merged)
    return true
  }

  /** Cells for a thread that starts, or that goes on with new names. @param thread unique among the threads that run. */
  grant(thread: number): MetricGrant {
    const cells = createCells(this.#layout)
    const pages = this.#threads.get(thread) ?? []
    pages.push({ layout: this.#layout, cells: new Float64Array(cells) })
    this.#threads.set(thread, pages)
    return { names: this.#layout.names, cells }
  }

  /** Closes the account of a thread that has ended, for whatever reason. */
  threadEnded(thread: number): void {
    const pages = this.#threads.get(thread)
    if (pages === undefined) return
    this.#threads.delete(thread)
    const sum = new Float64Array(this.#layout.length)
    addPage(sum, this.#layout, this.#ended)
    for (const page of pages) addPage(sum, this.#layout, page)
    for (let i = 0; i < this.#layout.names.listeners.length; i++) {
      sum[this.#layout.listeners + i * LISTENER.size + LISTENER.open] = 0
    }
    this.#ended = { layout: this.#layout, cells: sum }
  }

  /** Adds everything up. */
  read(): MetricTotals {
    const layout = this.#layout
    const cells = new Float64Array(layout.length)
    addPage(cells, layout, this.#ended)
    const loopLags: (readonly [number, number])[] = []
    for (const [thread, pages] of this.#threads) {
      for (const page of pages) addPage(cells, layout, page)
      loopLags.push([thread, pages.at(-1)?.cells[THREAD.loopLagMs] ?? 0])
    }
    return { layout, cells, loopLags }
  }
}

/** Adds a page to a sum whose layout has at least the page's names: each kind's cells are a prefix of the sum's. */
function addPage(sum: Float64Array, layout: MetricLayout, page: Page): void {
  const from = page.layout
  addRange(sum, 0, page.cells, 0, from.listeners)
  // The row of requests without a route lies before the first route.
  const routeRow = ROUTE.size
  addRange(sum, layout.listeners, page.cells, from.listeners, from.names.listeners.length * LISTENER.size)
  addRange(sum, layout.routes - routeRow, page.cells, from.routes - routeRow, from.upstreams - from.routes + routeRow)
  addRange(sum, layout.upstreams, page.cells, from.upstreams, from.endpoints - from.upstreams)
  addRange(sum, layout.endpoints, page.cells, from.endpoints, from.length - from.endpoints)
}

function addRange(sum: Float64Array, at: number, cells: Float64Array, from: number, length: number): void {
  for (let i = 0; i < length; i++) sum[at + i] = (sum[at + i] as number) + (cells[from + i] as number)
}
