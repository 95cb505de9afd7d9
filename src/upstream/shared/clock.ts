const hrtime = process.hrtime()

/** What `performance.now()` of this thread must be moved by to agree with all other threads of the process. */
const OFFSET_MS = hrtime[0] * 1000 + hrtime[1] / 1e6 - performance.now()

/**
 * Milliseconds of a monotonic clock that reads the same in every thread of the process, with fractions.
 * Its zero means nothing; `performance.now()` alone starts at each thread's birth, and the wall clock may jump back.
 */
export function sharedNowMs(): number {
  return OFFSET_MS + performance.now()
}
