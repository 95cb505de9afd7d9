import type { Socket } from 'node:net'
import type { ConnectionInfo } from '../core/connection-info.ts'
import type { ConnectionSlot } from '../listener/connection-slot.ts'
import { type Deliver, Listener } from '../listener/listener.ts'
import type { ListenerEvents, ListenerSettings, ListenerShare } from '../listener/settings.ts'
import type { BoundListener } from './messages.ts'
import type { ListenResult } from './thread-engine.ts'

/** One listener of a candidate configuration. */
export interface ListenerPlan {
  /** See `listenerKey`: a listener that is open under this key is kept. */
  readonly key: string
  readonly settings: ListenerSettings
  readonly share: ListenerShare
  readonly events: ListenerEvents
  /** Takes the connections once the candidate is current. */
  readonly deliver: Deliver
  /** The URL for a real port. */
  readonly url: (port: number) => string
  /** The listener went away or drains: its connections end with their next response. */
  readonly retire: () => void
}

/** How long an idle connection stays open in a drain: a request may be on its way. Each gets `Connection: close`. */
export const IDLE_GRACE_MS = 500
const IDLE_SWEEP_MS = 100

/** The open listeners of one data thread, over reloads. */
export class ListenerSet {
  readonly #open = new Map<string, Entry>()
  /** Closed ones whose connections go on. */
  readonly #retired = new Set<Entry>()
  #opened: Entry[] = []
  #onEmpty: (() => void) | null = null

  /** Connections of this thread, those of closed listeners included. */
  get connections(): number {
    let sum = 0
    for (const entry of [...this.#open.values(), ...this.#retired]) sum += entry.listener.openConnections
    return sum
  }

  /**
   * Opens the listeners that are not open. Connections that come before `commit` wait. With problems, nothing stays open
   * that was not before.
   * @param ports real ports by key, taken instead of the settings' one
   */
  async open(plans: readonly ListenerPlan[], ports: Readonly<Record<string, number>>): Promise<ListenResult> {
    const listeners: BoundListener[] = []
    const problems: string[] = []
    for (const plan of plans) {
      const { key, settings, share } = plan
      // Threads cannot share a unix socket: the first one serves it.
      if ('path' in settings.address && share.thread > 0) continue
      try {
        const entry = this.#open.get(key) ?? (await this.#add(plan, ports[key]))
        listeners.push({ name: settings.name, key, url: plan.url(entry.port), port: entry.port })
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        problems.push(`listeners.${settings.name}.address: cannot listen (${reason})`)
      }
    }
    return { listeners, problems }
  }

  /** The plans are current: kept listeners take their settings, those without a plan stop accepting. */
  commit(plans: readonly ListenerPlan[]): Promise<void> {
    this.#opened = []
    const closed: Promise<void>[] = []
    const wanted = new Map(plans.map((plan) => [plan.key, plan]))
    for (const [key, entry] of this.#open) {
      const plan = wanted.get(key)
      if (plan === undefined) {
        this.#open.delete(key)
        closed.push(this.#retire(entry))
      } else {
        entry.take(plan)
      }
    }
    return Promise.all(closed).then(() => {})
  }

  /** Closes what `open` opened since the last commit, and the connections that waited. */
  async abort(): Promise<void> {
    const opened = this.#opened
    this.#opened = []
    for (const entry of opened) {
      this.#open.delete(entry.key)
      entry.dropHeld()
      await entry.listener.stopAccepting()
      entry.dropHeld()
    }
  }

  /**
   * Stops accepting everywhere and waits until every connection has ended. Resolves to the number of those that were still
   * open after `timeoutMs`: the end of the thread cuts them.
   */
  async drain(timeoutMs: number): Promise<number> {
    const deadline = performance.now() + timeoutMs
    const entries = [...this.#open.values()]
    this.#open.clear()
    await Promise.all(entries.map((entry) => this.#retire(entry)))
    if (!(await this.#empty(Math.min(IDLE_GRACE_MS, timeoutMs)))) {
      // Again and again: a response whose head was sent before the drain leaves its connection idle after it.
      do {
        for (const entry of this.#retired) entry.listener.table.closeAllIdle()
      } while (
        !(await this.#empty(Math.min(IDLE_SWEEP_MS, deadline - performance.now()))) &&
        performance.now() < deadline
      )
    }
    return this.connections
  }

  /** New TLS ticket keys for handshakes to come. */
  setTicketKeys(keys: Buffer): void {
    for (const entry of this.#open.values()) entry.setTicketKeys(keys)
  }

  async #add(plan: ListenerPlan, port: number | undefined): Promise<Entry> {
    const entry = new Entry(plan, () => this.#closed(entry))
    entry.port = await entry.listener.listen(port === undefined || port === 0 ? {} : { port })
    this.#open.set(plan.key, entry)
    this.#opened.push(entry)
    return entry
  }

  async #retire(entry: Entry): Promise<void> {
    this.#retired.add(entry)
    await entry.listener.stopAccepting()
    // After the last accept, so that nobody comes in with keep-alive.
    entry.plan.retire()
    this.#closed(entry)
  }

  /** A connection of this listener has ended. */
  #closed(entry: Entry): void {
    if (!this.#retired.has(entry) || entry.listener.openConnections > 0) return
    this.#retired.delete(entry)
    if (this.#retired.size === 0) this.#onEmpty?.()
  }

  /** True when no connection of a retired listener is left within this time. */
  #empty(timeoutMs: number): Promise<boolean> {
    if (this.#retired.size === 0) return Promise.resolve(true)
    if (timeoutMs <= 0) return Promise.resolve(false)
    return new Promise((resolve) => {
      const done = (empty: boolean): void => {
        clearTimeout(timer)
        this.#onEmpty = null
        resolve(empty)
      }
      const timer = setTimeout(() => done(false), Math.min(timeoutMs, 0x7fffffff))
      this.#onEmpty = () => done(true)
    })
  }
}

/** A listener with the plan it follows now. */
class Entry {
  readonly key: string
  readonly listener: Listener
  plan: ListenerPlan
  port = 0
  /** What was accepted before the first commit; null after it. Bounded by the listener's limit of connections. */
  #held: Held[] | null = []
  #ticketKeys: Buffer

  constructor(plan: ListenerPlan, onClosed: () => void) {
    this.key = plan.key
    this.plan = plan
    this.#ticketKeys = plan.share.ticketKeys
    const deliver: Deliver = (socket, info, firstBytes, slot) => {
      if (this.#held === null) this.plan.deliver(socket, info, firstBytes, slot)
      else this.#held.push(new Held(socket, info, firstBytes, slot))
    }
    this.listener = new Listener(plan.settings, plan.share, deliver, {
      onAccepted: () => this.plan.events.onAccepted(),
      onClosed: () => {
        this.plan.events.onClosed()
        onClosed()
      },
      onRefused: (reason, peerIp) => this.plan.events.onRefused(reason, peerIp),
      onHandshakeFailed: (reason, peerIp) => this.plan.events.onHandshakeFailed(reason, peerIp),
      onError: (error) => this.plan.events.onError(error),
    })
  }

  take(plan: ListenerPlan): void {
    this.plan = plan
    // The candidate's certificates were tried when it was prepared, so this does not throw.
    this.listener.update(plan.settings, this.#ticketKeys)
    const held = this.#held
    this.#held = null
    for (const one of held ?? []) one.deliver(plan.deliver)
  }

  dropHeld(): void {
    for (const one of this.#held ?? []) one.drop()
    this.#held = []
  }

  setTicketKeys(keys: Buffer): void {
    this.#ticketKeys = keys
    this.listener.update(this.plan.settings, keys)
  }
}

/** A connection that waits for the commit. */
class Held {
  readonly #socket: Socket
  readonly #info: ConnectionInfo
  readonly #firstBytes: Buffer | null
  readonly #slot: ConnectionSlot

  constructor(socket: Socket, info: ConnectionInfo, firstBytes: Buffer | null, slot: ConnectionSlot) {
    this.#socket = socket
    this.#info = info
    this.#firstBytes = firstBytes
    this.#slot = slot
    socket.on('error', ignore)
  }

  deliver(deliver: Deliver): void {
    this.#socket.off('error', ignore)
    deliver(this.#socket, this.#info, this.#firstBytes, this.#slot)
  }

  drop(): void {
    this.#socket.destroy()
    this.#slot.release()
  }
}

const ignore = (): void => {}
