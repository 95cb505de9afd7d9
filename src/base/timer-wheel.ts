/** Something with one deadline on a TimerWheel. */
export abstract class Timed {
  /** When `onDeadline` is due, in the wheel's milliseconds; Infinity when nothing is armed. */
  deadline: number = Number.POSITIVE_INFINITY
  /** Tick at which the wheel looks at it next; -1 when it is on no list. For the wheel only. */
  wheelTick = -1
  wheelNext: Timed | null = null
  wheelPrevious: Timed | null = null

  /** Called once, at or up to a tick after the deadline. */
  abstract onDeadline(nowMs: number): void
}

/**
 * One coarse timer wheel per thread: arming costs two comparisons, whatever the number of connections.
 *
 * A deadline that moves later (each byte of a body moves one) is only written down; the wheel finds it changed when it
 * comes by and puts it further on. Resolution is one tick, 50 ms. Deadlines beyond one turn go round again.
 */
export class TimerWheel {
  readonly tickMs: number
  readonly #slots: (Timed | null)[]
  readonly #now: () => number
  #tick: number
  #nowMs: number

  /** @param now monotonic milliseconds */
  constructor(now: () => number, tickMs = 50, slots = 1024) {
    this.tickMs = tickMs
    this.#slots = new Array<Timed | null>(slots).fill(null)
    this.#now = now
    this.#nowMs = now()
    this.#tick = Math.floor(this.#nowMs / tickMs)
  }

  /** The time of the event that runs: as of the last `touch` or tick, so at most one tick old. */
  now(): number {
    return this.#nowMs
  }

  /** Reads the clock: at the start of each event that brings bytes or a connection, not for each question about the time. */
  touch(): number {
    this.#nowMs = this.#now()
    return this.#nowMs
  }

  /** Sets the deadline, earlier or later than before. Infinity disarms. */
  arm(timed: Timed, deadlineMs: number): void {
    timed.deadline = deadlineMs
    if (deadlineMs === Number.POSITIVE_INFINITY) return
    const tick = Math.ceil(deadlineMs / this.tickMs)
    if (timed.wheelTick >= 0) {
      if (timed.wheelTick <= tick) return
      this.#unlink(timed)
    }
    this.#link(timed, tick)
  }

  /** Takes it off the wheel. */
  remove(timed: Timed): void {
    timed.deadline = Number.POSITIVE_INFINITY
    if (timed.wheelTick >= 0) this.#unlink(timed)
  }

  /** Runs what is due. Call it every `tickMs`; a late call catches up. */
  advance(): void {
    const now = this.touch()
    const last = Math.floor(now / this.tickMs)
    // After a long pause one whole turn sees every slot.
    const first = Math.max(this.#tick + 1, last - this.#slots.length + 1)
    this.#tick = last
    for (let tick = first; tick <= last; tick++) this.#run(tick % this.#slots.length, now)
  }

  #run(slot: number, now: number): void {
    let timed = this.#slots[slot] as Timed | null
    this.#slots[slot] = null
    // Take the whole list off first: a callback may arm others, also into this slot.
    const due: Timed[] = []
    while (timed !== null) {
      const next: Timed | null = timed.wheelNext
      timed.wheelNext = null
      timed.wheelPrevious = null
      timed.wheelTick = -1
      if (timed.deadline <= now) due.push(timed)
      else if (timed.deadline !== Number.POSITIVE_INFINITY) this.#link(timed, Math.ceil(timed.deadline / this.tickMs))
      timed = next
    }
    for (const one of due) {
      // An earlier callback may have disarmed or moved it.
      if (one.deadline > now) continue
      if (one.wheelTick >= 0) this.#unlink(one)
      one.deadline = Number.POSITIVE_INFINITY
      one.onDeadline(now)
    }
  }

  #link(timed: Timed, wanted: number): void {
    const tick = Math.min(Math.max(wanted, this.#tick + 1), this.#tick + this.#slots.length - 1)
    const slot = tick % this.#slots.length
    const head = this.#slots[slot] as Timed | null
    timed.wheelTick = tick
    timed.wheelNext = head
    timed.wheelPrevious = null
    if (head !== null) head.wheelPrevious = timed
    this.#slots[slot] = timed
  }

  #unlink(timed: Timed): void {
    const { wheelNext: next, wheelPrevious: previous } = timed
    if (previous !== null) previous.wheelNext = next
    else this.#slots[timed.wheelTick % this.#slots.length] = next
    if (next !== null) next.wheelPrevious = previous
    timed.wheelNext = null
    timed.wheelPrevious = null
    timed.wheelTick = -1
  }
}
