/** A request that waits for a slot. Exactly one of both is called, never from inside `enqueue`, and none after `cancel`. */
export interface Waiter {
  /** It has a slot now and must `leave` in the end. */
  onAdmitted(): void
  /** It waited too long: answer `upstream-queue-timeout`. */
  onQueueTimeout(): void
}

/** A place in the queue. */
export interface Ticket {
  /** Ms of the shared clock. */
  readonly deadlineMs: number
}

/** Decides when a request may go to its upstream. */
export interface Admission {
  /** Takes a slot if one is free and nobody waits. Each true needs one `leave`, on the same Admission, in the same thread. */
  tryEnter(): boolean
  /** Gives the slot back, or on to a waiter. */
  leave(): void
  /** Waits for a slot; `full`: answer `upstream-queue-full`. */
  enqueue(waiter: Waiter): Ticket | 'full'
  /** Leaves the queue, because the client is gone. Does nothing when the ticket was already called. */
  cancel(ticket: Ticket): void
}

/** Lets everything pass: an upstream without a limit. */
export const UNLIMITED: Admission = {
  tryEnter: () => true,
  leave: () => {},
  enqueue: () => {
    throw new Error('An upstream without a limit has no queue: tryEnter is always true')
  },
  cancel: () => {},
}
