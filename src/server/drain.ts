import type { Log } from './messages.ts'
import type { ThreadPool } from './thread-pool.ts'

/** Beyond the deadline of the threads: for their answers to arrive. A thread that hangs is left behind after it. */
const ANSWER_MS = 2_000
/** Longest time a timer can hold; a longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647

export interface DrainOptions {
  readonly pool: ThreadPool
  /** How long running exchanges may take; then their connections are cut. */
  readonly timeoutMs: number
  readonly log: Log
}

/**
 * Ends the work of all data threads in peace: they stop accepting, finish what runs, and write their logs. Resolves at
 * the latest 2 s after the deadline, whatever hangs.
 */
export async function drainThreads({ pool, timeoutMs, log }: DrainOptions): Promise<void> {
  log('info', 'draining', `draining: no new connections, ${timeoutMs / 1000} s for what runs`)
  const answers = await Promise.race([pool.askAll({ kind: 'drain', timeoutMs }), after(timeoutMs + ANSWER_MS)])
  if (answers === null) {
    log('warn', 'drained', 'drained, but not every data thread answered in time')
    return
  }
  const cut = answers.reduce((sum, answer) => sum + answer.cut, 0)
  for (const answer of answers) for (const problem of answer.problems) log('error', 'drain-problem', problem)
  if (cut === 0) log('info', 'drained', 'drained')
  else log('warn', 'drained', `drained: ${cut} connections were cut at the deadline`)
}

function after(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(resolve, Math.min(ms, MAX_TIMER_MS), null).unref())
}
