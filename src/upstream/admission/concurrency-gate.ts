import { Header, Thread, type UpstreamCells } from '../shared/cells.ts'
import { giveAway, lockBook } from '../shared/concurrency-cells.ts'
import { release } from '../shared/spin-lock.ts'
import type { Admission, Ticket, Waiter } from './admission.ts'
import { FifoQueue, QueueTicket, type WaitQueue } from './wait-queue.ts'

/** How often a thread with waiters looks by itself: the net under the wake-ups. */
const POLL_MS = 250

/**
 * One thread's door to a concurrency limit that holds exactly over all threads. The limit and the queue's length are in the cells,
 * see `setConcurrency`; make one gate per thread and upstream and keep it over reloads.
 *
 * Within a thread the queue's order holds; freed slots go to the threads in turn. Newcomers never overtake a waiter.
 */
export class ConcurrencyGate implements Admission {
  /** How long a new waiter may wait, in ms. A reload sets it. */
  queueTimeoutMs: number
  readonly #cells: UpstreamCells
  readonly #words: Int32Array
  readonly #thread: number
  readonly #at: number
  readonly #now: () => number
  readonly #queue: WaitQueue
  readonly #drainSoon = (): void => this.#drain()
  readonly #onWake = (): void => this.#woken()
  readonly #onTimer = (): void => this.#tick()
  #draining = false
  #drainPlanned = false
  #armed = false
  #timer: NodeJS.Timeout | null = null

  /** @param now `sharedNowMs` or the like. @param queue empty; another order than first come, first served. */
  constructor(
    cells: UpstreamCells,
    thread: number,
    queueTimeoutMs: number,
    now: () => number,
    queue: WaitQueue = new FifoQueue(),
  ) {
    this.#cells = cells
    this.#words = cells.words
    this.#thread = thread
    this.#at = cells.threadAt(thread)
    this.queueTimeoutMs = queueTimeoutMs
    this.#now = now
    this.#queue = queue
    this.#attach()
  }

  tryEnter(): boolean {
    const words = this.#words
    lockBook(this.#cells, this.#thread)
    const free =
      Atomics.load(words, Header.ADMITTED) < Atomics.load(words, Header.LIMIT) &&
      Atomics.load(words, Header.WAITING) === 0
    if (free) {
      Atomics.add(words, Header.ADMITTED, 1)
      Atomics.add(words, this.#at + Thread.ADMITTED, 1)
    }
    release(words)
    return free
  }

  leave(): void {
    const words = this.#words
    lockBook(this.#cells, this.#thread)
    Atomics.sub(words, Header.ADMITTED, 1)
    Atomics.sub(words, this.#at + Thread.ADMITTED, 1)
    const mine = Atomics.load(words, Header.WAITING) > 0 && giveAway(this.#cells, this.#thread)
    release(words)
    if (mine) this.#planDrain()
  }

  enqueue(waiter: Waiter): Ticket | 'full' {
    const words = this.#words
    const ticket = new QueueTicket(waiter, this.#now() + this.queueTimeoutMs)
    lockBook(this.#cells, this.#thread)
    const room =
      Atomics.load(words, Header.WAITING) < Atomics.load(words, Header.QUEUE) && Atomics.load(words, Header.LIMIT) > 0
    if (room) {
      Atomics.add(words, Header.WAITING, 1)
      Atomics.add(words, this.#at + Thread.WAITING, 1)
    }
    // A slot may have become free since tryEnter said no.
    const mine = giveAway(this.#cells, this.#thread)
    release(words)
    if (room) this.#queue.push(ticket)
    if (mine) this.#planDrain()
    if (!room) return 'full'
    this.#watch()
    return ticket
  }

  cancel(ticket: Ticket): void {
    if (!(ticket instanceof QueueTicket) || !ticket.waiting) return
    this.#queue.remove(ticket)
    const words = this.#words
    lockBook(this.#cells, this.#thread)
    if (Atomics.load(words, this.#at + Thread.WAITING) > 0) {
      Atomics.sub(words, Header.WAITING, 1)
      Atomics.sub(words, this.#at + Thread.WAITING, 1)
    } else {
      // Everybody here has been given a slot that is not yet fetched: one goes back.
      Atomics.sub(words, this.#at + Thread.GRANTED, 1)
      Atomics.sub(words, Header.ADMITTED, 1)
      Atomics.sub(words, this.#at + Thread.ADMITTED, 1)
    }
    const mine = giveAway(this.#cells, this.#thread)
    release(words)
    if (mine) this.#planDrain()
  }

  /** Requests that wait in this thread. */
  get waiting(): number {
    return this.#queue.size
  }

  #attach(): void {
    lockBook(this.#cells, this.#thread)
    const threads = Math.max(Atomics.load(this.#words, Header.THREADS), this.#thread + 1)
    Atomics.store(this.#words, Header.THREADS, threads)
    release(this.#words)
  }

  /** Hands fetched slots to waiters, in a task of its own: a waiter's work must not run inside another request's end. */
  #planDrain(): void {
    if (this.#drainPlanned) return
    this.#drainPlanned = true
    queueMicrotask(this.#drainSoon)
  }

  #drain(): void {
    this.#drainPlanned = false
    if (this.#draining) return
    this.#draining = true
    try {
      while (Atomics.load(this.#words, this.#at + Thread.GRANTED) > 0) {
        Atomics.sub(this.#words, this.#at + Thread.GRANTED, 1)
        const ticket = this.#queue.shift()
        if (ticket === null) this.leave()
        else ticket.waiter.onAdmitted()
      }
    } finally {
      this.#draining = false
      if (this.#queue.size > 0) this.#watch()
    }
  }

  /** Sees to it that the waiters are woken by another thread, by their deadline and by the poll. */
  #watch(): void {
    if (!this.#armed) this.#arm()
    if (this.#timer === null) this.#setTimer()
  }

  #arm(): void {
    // Neither this promise nor the timer keeps the process alive: sockets do.
    const wait = Atomics.waitAsync(this.#words, this.#at + Thread.GRANTED, 0)
    if (!wait.async) {
      this.#planDrain()
      return
    }
    this.#armed = true
    wait.value.then(this.#onWake)
  }

  #woken(): void {
    this.#armed = false
    this.#look()
  }

  #tick(): void {
    this.#timer = null
    // Slots that are here already go out before anybody is told that it waited too long.
    this.#drain()
    const now = this.#now()
    for (let ticket = this.#queue.oldest(); ticket !== null && ticket.deadlineMs <= now; ) {
      this.cancel(ticket)
      ticket.waiter.onQueueTimeout()
      ticket = this.#queue.oldest()
    }
    this.#look()
  }

  #look(): void {
    lockBook(this.#cells, this.#thread)
    giveAway(this.#cells, this.#thread)
    release(this.#words)
    this.#drain()
  }

  #setTimer(): void {
    const untilMs = (this.#queue.oldest()?.deadlineMs ?? 0) - this.#now()
    this.#timer = setTimeout(this.#onTimer, Math.max(1, Math.min(POLL_MS, untilMs)))
    this.#timer.unref()
  }
}
