import { Header, Slot, Thread, type UpstreamCells } from './cells.ts'
import { wakeWaiters } from './concurrency-cells.ts'
import { releaseOf } from './spin-lock.ts'

/**
 * Gives back what a dead thread held in one upstream: its lock, in-flight requests, slots and places in the queue.
 * Main calls this when the worker has exited, and before another thread takes the same index.
 */
export function clearThread(cells: UpstreamCells, thread: number): void {
  const words = cells.words
  for (let slot = 0; slot < cells.maxEndpoints; slot++) {
    // Only its thread writes such a word, so nothing can come between.
    const held = Atomics.exchange(words, cells.inFlightAt(thread, slot), 0)
    if (held !== 0) Atomics.sub(words, cells.slotAt(slot) + Slot.IN_FLIGHT, held)
  }
  // The totals belong to the lock, which main must not wait for: the next thread that has it settles them.
  Atomics.store(words, cells.threadAt(thread) + Thread.DEAD, 1)
  Atomics.store(words, Header.DEAD_PENDING, 1)
  releaseOf(words, thread)
  wakeWaiters(cells)
}
