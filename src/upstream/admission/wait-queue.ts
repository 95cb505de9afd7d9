import type { Ticket, Waiter } from './admission.ts'

/** A place in a thread's queue. */
export class QueueTicket implements Ticket {
  readonly waiter: Waiter
  readonly deadlineMs: number
  /** Whether it still waits. */
  waiting = true
  previous: QueueTicket | null = null
  next: QueueTicket | null = null

  constructor(waiter: Waiter, deadlineMs: number) {
    this.waiter = waiter
    this.deadlineMs = deadlineMs
  }
}

/** The order in which a thread's waiters get slots. */
export interface WaitQueue {
  readonly size: number
  push(ticket: QueueTicket): void
  /** Takes out who gets the next slot; null when nobody waits. */
  shift(): QueueTicket | null
  remove(ticket: QueueTicket): void
  /** Who waits longest, left in place; null when nobody waits. */
  oldest(): QueueTicket | null
}

/** First come, first served. Everything in constant time. */
export class FifoQueue implements WaitQueue {
  #size = 0
  #first: QueueTicket | null = null
  #last: QueueTicket | null = null

  get size(): number {
    return this.#size
  }

  push(ticket: QueueTicket): void {
    ticket.previous = this.#last
    if (this.#last === null) this.#first = ticket
    else this.#last.next = ticket
    this.#last = ticket
    this.#size++
  }

  shift(): QueueTicket | null {
    const ticket = this.#first
    if (ticket !== null) this.remove(ticket)
    return ticket
  }

  remove(ticket: QueueTicket): void {
    if (!ticket.waiting) return
    ticket.waiting = false
    if (ticket.previous === null) this.#first = ticket.next
    else ticket.previous.next = ticket.next
    if (ticket.next === null) this.#last = ticket.previous
    else ticket.next.previous = ticket.previous
    ticket.previous = null
    ticket.next = null
    this.#size--
  }

  oldest(): QueueTicket | null {
    return this.#first
  }
}
