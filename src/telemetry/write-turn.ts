/**
 * Whose turn it is to write to a log that several threads share, kept in one cell of shared memory.
 *
 * One `write` of whole lines is atomic on a file opened with O_APPEND, but not when the disk fills in its middle, and not
 * on a pipe above 4 KiB. A writer that holds the turn finishes its line before any other thread starts one. It also
 * means that a log reader that stands still blocks one thread of libuv's pool and not all of them.
 */
export class WriteTurn {
  readonly #cell: Int32Array
  readonly #holder: number

  /** @param shared from `createTurnMemory`. @param holder > 0, different for every writer: the thread's number + 1. */
  constructor(shared: SharedArrayBuffer, holder: number) {
    this.#cell = new Int32Array(shared)
    this.#holder = holder
  }

  /** Takes the turn if nobody else has it; true also for the one who has it already. Never waits. */
  take(): boolean {
    const before = Atomics.compareExchange(this.#cell, 0, 0, this.#holder)
    return before === 0 || before === this.#holder
  }

  /** Gives the turn back; nothing happens when this writer does not have it. */
  release(): void {
    Atomics.compareExchange(this.#cell, 0, this.#holder, 0)
  }
}

/** Memory of one turn. The main thread makes one for each log file and hands it to every thread. */
export function createTurnMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(4)
}

/** Frees the turn of a thread that died. The main thread calls it for every thread that ends, with that thread's holder number. */
export function releaseTurnOf(shared: SharedArrayBuffer, holder: number): void {
  Atomics.compareExchange(new Int32Array(shared), 0, holder, 0)
}
