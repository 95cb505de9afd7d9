/** What `performance.now()` of this thread must be moved by to agree with all other threads of the process. */
const OFFSET_MS = measureOffset()

/**
 * Milliseconds of a monotonic clock that reads the same in every thread of the process, with fractions.
 * Its zero means nothing; `performance.now()` alone starts at each thread's birth, and the wall clock may jump back.
 */
export function sharedNowMs(): number {
  return OFFSET_MS + performance.now()
}

/** The best of several tries: the thread may lose the processor between the two readings. */
function measureOffset(): number {
  let offset = 0
  let shortest = Number.POSITIVE_INFINITY
  for (let i = 0; i < 10; i++) {
    const before = performance.now()
    const [seconds, nanoseconds] = process.hrtime()
    const after = performance.now()
    if (after - before >= shortest) continue
    shortest = after - before
    offset = seconds * 1000 + nanoseconds / 1e6 - (before + after) / 2
  }
  return offset
}
