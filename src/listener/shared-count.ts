/** Int32 numbers between two threads' cells: a cache line each, so that threads do not slow each other down. */
const STRIDE = 16

/** Makes the cells of a SharedCount in shared memory, all zero. Main makes them and hands them to every thread. */
export function createCountCells(threads: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(threads * STRIDE * 4))
}

/** Frees what a dead thread had counted. Call it from main before the replacement starts. */
export function clearCountCell(cells: Int32Array, thread: number): void {
  Atomics.store(cells, thread * STRIDE, 0)
}

/** A number that is counted by several threads and limited in sum: each writes its own cell, all read all cells. */
export class SharedCount {
  readonly #cells: Int32Array
  readonly #own: number

  /** @param thread index of the calling thread, 0 to threads - 1 */
  constructor(cells: Int32Array, thread: number) {
    this.#cells = cells
    this.#own = thread * STRIDE
  }

  /** How many threads count. */
  get threads(): number {
    return this.#cells.length / STRIDE
  }

  /** Counts one more on this thread. */
  add(): void {
    Atomics.add(this.#cells, this.#own, 1)
  }

  /** Counts one less on this thread. */
  subtract(): void {
    Atomics.sub(this.#cells, this.#own, 1)
  }

  /** The count of all threads together. */
  sum(): number {
    let sum = 0
    for (let i = 0; i < this.#cells.length; i += STRIDE) sum += Atomics.load(this.#cells, i)
    return sum
  }
}
