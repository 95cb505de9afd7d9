const BEAT_MS = 1_000
/** A data thread that did not beat for this long is reported: its event loop is blocked. */
export const SILENT_MS = 10_000
/** A data thread that did not beat for this long is ended and replaced. */
export const LOST_MS = 60_000

/** Memory for the beats of `threads` data threads. */
export function createHeartbeat(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer(threads * Int32Array.BYTES_PER_ELEMENT)
}

/** Beats once a second for one data thread, as long as its event loop turns. Does not keep the thread alive. */
export function startBeating(heartbeat: SharedArrayBuffer, slot: number): NodeJS.Timeout {
  const beats = new Int32Array(heartbeat)
  return setInterval(() => Atomics.add(beats, slot, 1), BEAT_MS).unref()
}

export interface WatchdogEvents {
  /** Once per silence, after 10 s. */
  readonly onSilent: (slot: number, silentMs: number) => void
  /** Once per silence, after 60 s. */
  readonly onLost: (slot: number, silentMs: number) => void
}

/** Watches the beats of all data threads from the main thread. Call `check` about once a second. */
export class Watchdog {
  readonly #beats: Int32Array
  readonly #events: WatchdogEvents
  readonly #seen: { beat: number; sinceMs: number; reported: number }[] = []
  #checkedMs: number

  constructor(heartbeat: SharedArrayBuffer, events: WatchdogEvents, nowMs: number) {
    this.#beats = new Int32Array(heartbeat)
    this.#events = events
    this.#checkedMs = nowMs
    for (let slot = 0; slot < this.#beats.length; slot++) {
      this.#seen.push({ beat: Atomics.load(this.#beats, slot), sinceMs: nowMs, reported: 0 })
    }
  }

  /** Counts the slot's silence from now: its thread was just started. */
  reset(slot: number, nowMs: number): void {
    this.#seen[slot] = { beat: Atomics.load(this.#beats, slot), sinceMs: nowMs, reported: 0 }
  }

  check(nowMs: number): void {
    // A stopped process (SIGSTOP, a paused machine) must not look like dead threads: none of them could beat meanwhile.
    const paused = nowMs - this.#checkedMs > SILENT_MS / 2
    this.#checkedMs = nowMs
    for (let slot = 0; slot < this.#beats.length; slot++) {
      const seen = this.#seen[slot]
      const beat = Atomics.load(this.#beats, slot)
      if (beat !== seen.beat || paused) {
        this.reset(slot, nowMs)
        continue
      }
      const silentMs = nowMs - seen.sinceMs
      if (silentMs >= LOST_MS && seen.reported < 2) {
        seen.reported = 2
        this.#events.onLost(slot, silentMs)
      } else if (silentMs >= SILENT_MS && seen.reported < 1) {
        seen.reported = 1
        this.#events.onSilent(slot, silentMs)
      }
    }
  }
}
