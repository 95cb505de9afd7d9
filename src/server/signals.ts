export interface SignalActions {
  /** SIGTERM or SIGINT: the first asks for a drain, the second ends the process at once. */
  readonly onStop: (times: number) => void
  /** SIGHUP. */
  readonly onReload: () => void
  /** SIGUSR1. */
  readonly onReopenLogs: () => void
  /** An error that nobody caught in the main thread. */
  readonly onDefect: (error: unknown) => void
}

/**
 * Takes over the process's signals, first thing in its life and for all of it: a SIGHUP or SIGUSR1 that comes while the
 * edge still starts must neither kill it nor, with SIGUSR1, open Node's debugger (a listener takes Node's own away).
 */
export function installSignals(actions: SignalActions): void {
  let stops = 0
  const stop = (): void => actions.onStop(++stops)
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('SIGHUP', actions.onReload)
  process.on('SIGUSR1', actions.onReopenLogs)
  process.on('uncaughtException', actions.onDefect)
  process.on('unhandledRejection', actions.onDefect)
  // The reader of our output may leave (`sallyport run | head`): EPIPE is no reason to end.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
}
