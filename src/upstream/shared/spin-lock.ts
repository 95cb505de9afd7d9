import { Header } from './cells.ts'

/**
 * The one lock of an upstream's cells: a word that names its owner, so that main can free it when the owner died.
 *
 * It is held for tens of nanoseconds: a few loads and stores, no allocation, no call out. Code under it commits its writes
 * in a straight line, without a loop or a call to a JavaScript function between them: V8 ends a thread only at loops and
 * function entries, so a dying thread leaves a commit whole or not begun. Main never takes the lock: it could wait for a
 * thread whose death only main can see.
 */

/** Set beside the owner when somebody sleeps on the word and must be notified. */
const CONTENDED = 0x10000
const SPINS = 200
const SLEEP_MS = 5

/** Takes the lock for a thread; waits as long as another live thread has it. Not reentrant. */
export function acquire(words: Int32Array, thread: number): void {
  if (Atomics.compareExchange(words, Header.LOCK, 0, thread + 1) !== 0) acquireSlowly(words, thread)
}

/** Gives the lock back. */
export function release(words: Int32Array): void {
  if (Atomics.exchange(words, Header.LOCK, 0) >= CONTENDED) Atomics.notify(words, Header.LOCK, 1)
}

/** Frees the lock if a thread that no longer exists holds it. */
export function releaseOf(words: Int32Array, deadThread: number): void {
  const held = Atomics.load(words, Header.LOCK)
  // A sleeper may set CONTENDED between the load and the exchange: look again.
  if ((held & (CONTENDED - 1)) !== deadThread + 1) return
  if (Atomics.compareExchange(words, Header.LOCK, held, 0) !== held) releaseOf(words, deadThread)
  else Atomics.notify(words, Header.LOCK)
}

function acquireSlowly(words: Int32Array, thread: number): void {
  for (let spin = 0; spin < SPINS; spin++) {
    if (Atomics.load(words, Header.LOCK) === 0 && Atomics.compareExchange(words, Header.LOCK, 0, thread + 1) === 0) {
      return
    }
  }
  for (;;) {
    const held = Atomics.load(words, Header.LOCK)
    // Taken as contended: others may sleep too, and only a contended release wakes them.
    if (held === 0) {
      if (Atomics.compareExchange(words, Header.LOCK, 0, (thread + 1) | CONTENDED) === 0) return
      continue
    }
    const contended = held | CONTENDED
    if (held !== contended && Atomics.compareExchange(words, Header.LOCK, held, contended) !== held) continue
    Atomics.wait(words, Header.LOCK, contended, SLEEP_MS)
  }
}
