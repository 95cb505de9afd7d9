import { clientKey } from './client-key.ts'
import { ClientConnections, ConnectionSlot } from './connection-slot.ts'
import type { SharedCount } from './shared-count.ts'

/** How many connections a listener takes. Positive integers, or Infinity for no limit. */
export interface ConnectionLimits {
  /** Open ones of all threads together. */
  readonly connections: number
  /** Open ones of one client address (IPv6: one /64). */
  readonly connectionsPerClient: number
  /** TLS handshakes that run at the same time. */
  readonly handshakes: number
  /** The same for one client address. */
  readonly handshakesPerClient: number
}

/**
 * The open connections of one listener on one thread: counts and limits them, and closes the longest idle one to make room.
 *
 * Every operation is O(1). The limit in all holds over all threads; only idle connections of the own thread are closed for it. The
 * other limits are kept by each thread with its share and a quarter on top, because the kernel spreads a client's connections
 * over the threads only roughly evenly.
 */
export class ConnectionTable {
  #limits: ConnectionLimits
  #perClient = 0
  #handshakeLimit = 0
  #handshakesPerClient = 0
  readonly #count: SharedCount
  readonly #clients = new Map<string, ClientConnections>()
  readonly #onReleased: (() => void) | null
  #open = 0
  #idle = 0
  #handshakes = 0
  #oldest: ConnectionSlot | null = null
  #newest: ConnectionSlot | null = null

  /** @param onReleased called once for every admitted connection when it is released */
  constructor(limits: ConnectionLimits, count: SharedCount, onReleased: (() => void) | null = null) {
    this.#limits = limits
    this.#count = count
    this.#onReleased = onReleased
    this.setLimits(limits)
  }

  /** Open connections of this thread. */
  get open(): number {
    return this.#open
  }

  /** Idle ones among them. */
  get idle(): number {
    return this.#idle
  }

  /** TLS handshakes that run on this thread. */
  get handshakes(): number {
    return this.#handshakes
  }

  /** Client addresses that have a connection open here. */
  get clients(): number {
    return this.#clients.size
  }

  /** Takes new limits. What is open stays open. */
  setLimits(limits: ConnectionLimits): void {
    this.#limits = limits
    const threads = this.#count.threads
    this.#perClient = shareOf(limits.connectionsPerClient, threads)
    this.#handshakeLimit = shareOf(limits.handshakes, threads)
    this.#handshakesPerClient = shareOf(limits.handshakesPerClient, threads)
  }

  /**
   * Takes a new connection in, closing the longest idle one when there is no room. Null: refuse it.
   * @param peerIp who is counted; null when that is not known before a PROXY header was read: call `identify` then
   */
  admit(peerIp: string | null): ConnectionSlot | null {
    this.#count.add()
    if (this.#count.sum() > this.#limits.connections && !this.#closeIdle(this.#oldest)) {
      this.#count.subtract()
      return null
    }
    const slot = new ConnectionSlot(this)
    this.#open++
    if (peerIp !== null && !this.identify(slot, peerIp)) {
      this.#leave(slot)
      return null
    }
    return slot
  }

  /** Counts the connection under its client's address. False: that client has too many; the caller closes and releases it. */
  identify(slot: ConnectionSlot, ip: string): boolean {
    const key = clientKey(ip)
    let client = this.#clients.get(key)
    if (client === undefined) {
      client = new ClientConnections(key)
      this.#clients.set(key, client)
    } else if (client.open >= this.#perClient) {
      if (!this.#closeIdle(client.oldestIdle)) return false
      // Closing that client's only connection has dropped it from the map.
      if (client.open === 0) this.#clients.set(key, client)
    }
    client.open++
    slot.client = client
    return client.open <= this.#perClient
  }

  /** Counts a TLS handshake. False: too many run; the caller closes the connection. */
  beginHandshake(slot: ConnectionSlot): boolean {
    const client = slot.client
    if (slot.handshaking || slot.released) return false
    if (this.#handshakes >= this.#handshakeLimit) return false
    if (client !== null && client.handshakes >= this.#handshakesPerClient) return false
    slot.handshaking = true
    this.#handshakes++
    if (client !== null) client.handshakes++
    return true
  }

  /** The handshake is over, well or not. */
  endHandshake(slot: ConnectionSlot): void {
    if (!slot.handshaking) return
    slot.handshaking = false
    this.#handshakes--
    if (slot.client !== null) slot.client.handshakes--
  }

  /** Puts the connection at the young end of the idle ones. Does nothing while it has no owner that could close it. */
  markIdle(slot: ConnectionSlot): void {
    if (slot.idle || slot.released || slot.owner === null) return
    slot.idle = true
    this.#idle++
    slot.older = this.#newest
    if (this.#newest === null) this.#oldest = slot
    else this.#newest.newer = slot
    this.#newest = slot
    const client = slot.client
    if (client === null) return
    slot.clientOlder = client.newestIdle
    if (client.newestIdle === null) client.oldestIdle = slot
    else client.newestIdle.clientNewer = slot
    client.newestIdle = slot
  }

  /** Takes it out of the idle ones. */
  markBusy(slot: ConnectionSlot): void {
    if (!slot.idle) return
    slot.idle = false
    this.#idle--
    if (slot.older === null) this.#oldest = slot.newer
    else slot.older.newer = slot.newer
    if (slot.newer === null) this.#newest = slot.older
    else slot.newer.older = slot.older
    slot.older = null
    slot.newer = null
    const client = slot.client
    if (client === null) return
    if (slot.clientOlder === null) client.oldestIdle = slot.clientNewer
    else slot.clientOlder.clientNewer = slot.clientNewer
    if (slot.clientNewer === null) client.newestIdle = slot.clientOlder
    else slot.clientNewer.clientOlder = slot.clientOlder
    slot.clientOlder = null
    slot.clientNewer = null
  }

  /** Frees the place of an ended connection. */
  release(slot: ConnectionSlot): void {
    if (slot.released) return
    this.#leave(slot)
    this.#onReleased?.()
  }

  /** Closes all idle connections, for a drain. */
  closeAllIdle(): void {
    // closeIdle leaves the list before it calls the owner, so this ends even if an owner throws nothing away.
    while (this.#closeIdle(this.#oldest));
  }

  #leave(slot: ConnectionSlot): void {
    this.endHandshake(slot)
    this.markBusy(slot)
    slot.released = true
    slot.owner = null
    this.#open--
    this.#count.subtract()
    const client = slot.client
    if (client !== null && --client.open === 0) this.#clients.delete(client.key)
  }

  #closeIdle(slot: ConnectionSlot | null): boolean {
    if (slot === null) return false
    const owner = slot.owner
    // The place is free at once; the socket's own end comes later.
    this.release(slot)
    owner?.closeIdle()
    return true
  }
}

function shareOf(limit: number, threads: number): number {
  return threads === 1 || limit === 0 ? limit : Math.ceil((limit * 1.25) / threads)
}
