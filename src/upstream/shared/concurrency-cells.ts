import { Header, Thread, UNLIMITED_SLOTS, type UpstreamCells } from './cells.ts'
import { acquire } from './spin-lock.ts'

/**
 * The book of a concurrency limit in the cells. All functions but `setConcurrency` and `wakeWaiters` are called with the lock.
 *
 * Whoever frees a slot while somebody waits gives it away at once, to the threads in turn: it then counts as ADMITTED by that
 * thread, which finds it in GRANTED and hands it to its oldest waiter. So a free slot and a waiter never stand side by
 * side, and no newcomer finds a slot that a waiter should have had.
 */

/** Sets the limit for all threads at once; null lifts it. Main calls this at start and on a reload. */
export function setConcurrency(cells: UpstreamCells, settings: { limit: number; queue: number } | null): void {
  Atomics.store(cells.words, Header.QUEUE, settings === null ? UNLIMITED_SLOTS : settings.queue)
  Atomics.store(cells.words, Header.LIMIT, settings === null ? UNLIMITED_SLOTS : settings.limit)
  wakeWaiters(cells)
}

/** Makes every thread that has waiters look again. */
export function wakeWaiters(cells: UpstreamCells): void {
  const threads = Atomics.load(cells.words, Header.THREADS)
  for (let thread = 0; thread < threads; thread++) {
    Atomics.notify(cells.words, cells.threadAt(thread) + Thread.GRANTED)
  }
}

/** Takes the lock and first gives back what threads held that died since. */
export function lockBook(cells: UpstreamCells, thread: number): void {
  acquire(cells.words, thread)
  if (Atomics.load(cells.words, Header.DEAD_PENDING) !== 0) sweepDead(cells)
}

/** Gives free slots to waiting threads in turn, and wakes those; true when `self` got one, which is not woken. */
export function giveAway(cells: UpstreamCells, self: number): boolean {
  const words = cells.words
  let mine = false
  while (
    Atomics.load(words, Header.WAITING) > 0 &&
    Atomics.load(words, Header.ADMITTED) < Atomics.load(words, Header.LIMIT)
  ) {
    const thread = nextWaiting(cells)
    if (thread < 0) break
    const at = cells.threadAt(thread)
    Atomics.sub(words, at + Thread.WAITING, 1)
    Atomics.sub(words, Header.WAITING, 1)
    Atomics.add(words, at + Thread.ADMITTED, 1)
    Atomics.add(words, Header.ADMITTED, 1)
    Atomics.add(words, at + Thread.GRANTED, 1)
    Atomics.store(words, Header.CURSOR, thread)
    if (thread === self) mine = true
    else Atomics.notify(words, at + Thread.GRANTED)
  }
  return mine
}

function nextWaiting(cells: UpstreamCells): number {
  const threads = Atomics.load(cells.words, Header.THREADS)
  let thread = Atomics.load(cells.words, Header.CURSOR)
  for (let turn = 0; turn < threads; turn++) {
    thread = thread + 1 < threads ? thread + 1 : 0
    if (Atomics.load(cells.words, cells.threadAt(thread) + Thread.WAITING) > 0) return thread
  }
  return -1
}

function sweepDead(cells: UpstreamCells): void {
  const words = cells.words
  // Cleared before looking: a thread that dies meanwhile sets it again.
  Atomics.store(words, Header.DEAD_PENDING, 0)
  for (let thread = 0; thread < cells.maxThreads; thread++) {
    const at = cells.threadAt(thread)
    if (Atomics.load(words, at + Thread.DEAD) === 0) continue
    Atomics.sub(words, Header.ADMITTED, Atomics.exchange(words, at + Thread.ADMITTED, 0))
    Atomics.sub(words, Header.WAITING, Atomics.exchange(words, at + Thread.WAITING, 0))
    Atomics.store(words, at + Thread.GRANTED, 0)
    Atomics.store(words, at + Thread.DEAD, 0)
  }
}
