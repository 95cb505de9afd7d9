const BUCKETS = 10
const BUCKET_MS = 1000

/**
 * Limits retries to a share of the requests of the last 10 seconds, so that a failing upstream is not buried under repeats.
 * One per upstream and thread. Counts in one-second steps: the window is 9 to 10 s long.
 */
export class RetryBudget {
  readonly #share: number
  readonly #floor: number
  readonly #now: () => number
  readonly #requests = new Uint32Array(BUCKETS)
  readonly #retries = new Uint32Array(BUCKETS)
  #requestSum = 0
  #retrySum = 0
  #second: number

  /**
   * @param share retries per request, 0 to 1; 0 allows none, 1 lifts the budget (`attempts` still bounds a request's).
   * @param minPerSecond retries that are always allowed, as a mean over the window; the process's figure divided by its threads.
   * @param now ms of a monotonic clock.
   */
  constructor(share: number, minPerSecond: number, now: () => number) {
    this.#share = share
    this.#floor = share > 0 ? minPerSecond * BUCKETS : 0
    this.#now = now
    this.#second = Math.floor(now() / BUCKET_MS)
  }

  /** Counts a request; once, at its first attempt. */
  request(): void {
    if (this.#share >= 1) return
    this.#advance()
    this.#requests[this.#second % BUCKETS]!++
    this.#requestSum++
  }

  /** Whether one more retry fits; if so it is counted. */
  tryRetry(): boolean {
    if (this.#share >= 1) return true
    this.#advance()
    if (this.#retrySum + 1 > Math.max(this.#floor, this.#requestSum * this.#share)) return false
    this.#retries[this.#second % BUCKETS]!++
    this.#retrySum++
    return true
  }

  #advance(): void {
    const second = Math.floor(this.#now() / BUCKET_MS)
    const steps = Math.min(second - this.#second, BUCKETS)
    for (let step = 1; step <= steps; step++) {
      const bucket = (this.#second + step) % BUCKETS
      this.#requestSum -= this.#requests[bucket]!
      this.#retrySum -= this.#retries[bucket]!
      this.#requests[bucket] = 0
      this.#retries[bucket] = 0
    }
    if (second > this.#second) this.#second = second
  }
}
