/**
 * The facts that all threads share about one upstream, in one SharedArrayBuffer of 32-bit words.
 *
 * A header, one cache line per endpoint slot, and one block per thread. What threads write often lies on different cache
 * lines. A thread's own counts stand in its block, so that its share can be given back when it dies.
 */

/** Times in cells are ticks of 100 ms since the cells were made: 31 bits last 6.8 years. 0 means never. */
export const TICK_MS = 100

const LINE = 16

/** Words of the header. The first line changes rarely and is read by every pick; the second is the concurrency limit's. */
export const Header = {
  MAX_ENDPOINTS: 2,
  MAX_THREADS: 3,
  /** Counts changes of health, ejection and slots: a thread recomputes its candidates when it differs. */
  VERSION: 4,
  /** Owner's thread index + 1, 0 when free; see spin-lock.ts. */
  LOCK: LINE,
  /** Requests that may run at once in all threads; UNLIMITED when there is no limit. */
  LIMIT: LINE + 1,
  /** Requests that may wait in all threads. */
  QUEUE: LINE + 2,
  ADMITTED: LINE + 3,
  WAITING: LINE + 4,
  /** The thread that got the last freed slot: the next one in turn is behind it. */
  CURSOR: LINE + 5,
  /** Highest thread index that took part, + 1. */
  THREADS: LINE + 6,
  /** 1 when a thread's block is marked DEAD and its share not yet given back. */
  DEAD_PENDING: LINE + 7,
} as const

/** Words of an endpoint slot. */
export const Slot = {
  HEALTH: 0,
  /** Tick since which it is healthy, for slow start; 0 when it was there from the beginning. */
  HEALTHY_FROM: 1,
  EJECTED_UNTIL: 2,
  /** How often it was ejected; lengthens the next ejection. */
  EJECTIONS: 3,
  FAILURES: 4,
  IN_FLIGHT: 5,
} as const

/** Words of a thread's block, before its row of in-flight counts, one per slot. */
export const Thread = { ADMITTED: 0, WAITING: 1, GRANTED: 2, DEAD: 3 } as const

export const Health = { UNKNOWN: 0, UP: 1, DOWN: 2 } as const
export type HealthState = (typeof Health)[keyof typeof Health]

/** The limit that stands for none. */
export const UNLIMITED_SLOTS = 0x7fffffff

/** Makes the cells of one upstream; main does this once per upstream name and hands `buffer` to the threads. */
export function createUpstreamCells(nowMs: number, maxEndpoints = 256, maxThreads = 64): UpstreamCells {
  const row = roundUp(maxEndpoints)
  const buffer = new SharedArrayBuffer(4 * (2 * LINE + maxEndpoints * LINE + maxThreads * (LINE + row)))
  new Float64Array(buffer)[0] = nowMs
  const words = new Int32Array(buffer)
  words[Header.MAX_ENDPOINTS] = maxEndpoints
  words[Header.MAX_THREADS] = maxThreads
  words[Header.LIMIT] = UNLIMITED_SLOTS
  return new UpstreamCells(buffer)
}

/** One thread's view of an upstream's cells: where things stand, nothing more. */
export class UpstreamCells {
  readonly buffer: SharedArrayBuffer
  readonly words: Int32Array
  readonly maxEndpoints: number
  readonly maxThreads: number
  readonly #epochMs: number
  readonly #threadsAt: number
  readonly #threadWords: number

  /** @param buffer made by `createUpstreamCells`, possibly in another thread. */
  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer
    this.words = new Int32Array(buffer)
    this.maxEndpoints = this.words[Header.MAX_ENDPOINTS]!
    this.maxThreads = this.words[Header.MAX_THREADS]!
    this.#epochMs = new Float64Array(buffer, 0, 1)[0]!
    this.#threadsAt = 2 * LINE + this.maxEndpoints * LINE
    this.#threadWords = LINE + roundUp(this.maxEndpoints)
  }

  /** Index of the first word of an endpoint slot. Throws a RangeError for a slot that does not exist. */
  slotAt(slot: number): number {
    if (!(slot >= 0 && slot < this.maxEndpoints)) throw new RangeError(`There is no endpoint slot ${slot}`)
    return 2 * LINE + slot * LINE
  }

  /** Index of the first word of a thread's block. Throws a RangeError for a thread that does not exist. */
  threadAt(thread: number): number {
    if (!(thread >= 0 && thread < this.maxThreads)) throw new RangeError(`There is no thread ${thread}`)
    return this.#threadsAt + thread * this.#threadWords
  }

  /** Index of the word that counts what one thread runs on one endpoint slot. */
  inFlightAt(thread: number, slot: number): number {
    return this.threadAt(thread) + LINE + slot
  }

  /** The tick that runs at this time of the shared clock; never 0. */
  tick(nowMs: number): number {
    return Math.max(1, Math.floor((nowMs - this.#epochMs) / TICK_MS) + 1)
  }

  /** When a tick begins, in ms of the shared clock. */
  tickStartMs(tick: number): number {
    return this.#epochMs + (tick - 1) * TICK_MS
  }

  /** Tells all threads that health, ejection or slots changed. */
  changed(): void {
    Atomics.add(this.words, Header.VERSION, 1)
  }
}

function roundUp(words: number): number {
  return Math.ceil(words / LINE) * LINE
}
