import type { Recorder } from './recorder.ts'

/**
 * Measures once in `everyMs` (default 1,000) how late a timer of this thread fires, and notes it. Keeps no process alive.
 * Returns what stops it.
 */
export function watchLoopLag(recorder: Recorder, everyMs = 1000): () => void {
  let expectedMs = performance.now() + everyMs
  const timer = setInterval(() => {
    const now = performance.now()
    recorder.loopLag(Math.max(0, now - expectedMs))
    expectedMs = now + everyMs
  }, everyMs).unref()
  return () => clearInterval(timer)
}
