import { createHeartbeat, Watchdog } from './heartbeat.ts'
import type { Log } from './messages.ts'
import { MAX_DEATHS, RestartPolicy } from './restart-policy.ts'
import type { Serial } from './serial.ts'
import type { ThreadPool } from './thread-pool.ts'

const CHECK_MS = 1_000

export interface SupervisorOptions {
  readonly serial: Serial
  readonly log: Log
  /** Frees what a dead thread held in shared memory: its in-flight requests, its connections. */
  readonly freeShares: (slot: number) => void
  /** Brings the current configuration into a new thread. Returns problems. */
  readonly applyTo: (slot: number) => Promise<readonly string[]>
  /** Threads die faster than it makes sense to replace them: the process must end. */
  readonly giveUp: (message: string) => void
  readonly threads: number
  readonly maxDeaths?: number | undefined
}

/**
 * Replaces data threads that die, with growing delays, and ends those that hang. The others go on meanwhile: the kernel
 * stops giving a dead thread's port new connections as soon as its socket is closed.
 */
export class Supervisor {
  /** Handed to every thread. */
  readonly heartbeat: SharedArrayBuffer
  readonly #options: SupervisorOptions
  readonly #policy: RestartPolicy
  readonly #watchdog: Watchdog
  readonly #timers = new Set<NodeJS.Timeout>()
  #pool: ThreadPool | null = null
  #replacing = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#policy = new RestartPolicy(options.maxDeaths ?? MAX_DEATHS)
    this.heartbeat = createHeartbeat(options.threads)
    const events = {
      onSilent: (slot: number, ms: number) =>
        options.log(
          'warn',
          'thread-silent',
          `data thread ${slot} has not answered for ${Math.round(ms / 1000)} s: something blocks it`,
        ),
      onLost: (slot: number, ms: number) => {
        options.log(
          'error',
          'thread-lost',
          `data thread ${slot} has not answered for ${Math.round(ms / 1000)} s and is replaced`,
        )
        void this.#pool?.terminate(slot, 'it did not answer')
      },
    }
    this.#watchdog = new Watchdog(this.heartbeat, events, performance.now())
  }

  /** Replaces threads of this pool from here on. Before that a death is only reported: the start fails as a whole. */
  watch(pool: ThreadPool): void {
    this.#pool = pool
    this.#replacing = true
    const timer = setInterval(() => this.#watchdog.check(performance.now()), CHECK_MS).unref()
    this.#timers.add(timer)
  }

  /** Leaves dead threads dead from here on: the process drains. */
  stop(): void {
    this.#replacing = false
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }

  /** To be called by the pool. */
  onDeath(slot: number, reason: string): void {
    const { log, freeShares, giveUp } = this.#options
    freeShares(slot)
    log('error', 'thread-died', `data thread ${slot} died: ${reason}`)
    if (!this.#replacing) return
    const delayMs = this.#policy.death(slot, performance.now())
    if (delayMs === null) {
      giveUp('data threads die too often: more than can be replaced sensibly within a minute; the log above says why')
      return
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      void this.#options.serial.run(() => this.#replace(slot))
    }, delayMs)
    this.#timers.add(timer)
  }

  async #replace(slot: number): Promise<void> {
    const pool = this.#pool
    if (pool === null || !this.#replacing) return
    this.#watchdog.reset(slot, performance.now())
    // A thread that dies while it starts comes back to onDeath, and so here again, later.
    if (!(await pool.start(slot))) return
    const problems = await this.#options.applyTo(slot)
    if (problems.length === 0) {
      this.#options.log('info', 'thread-replaced', `data thread ${slot} was replaced`)
    } else {
      await pool.terminate(slot, `it could not take the configuration: ${problems.join('; ')}`)
    }
  }
}
