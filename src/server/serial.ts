/** Runs tasks one after the other: a reload waits for the reload before it, and the replacement of a thread for both. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve()

  /** Starts `task` when all earlier ones have ended, however they ended. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const next = this.#last.then(task, task)
    this.#last = next.catch(() => {})
    return next
  }
}
