import type { Socket } from 'node:net'
import type { ReasonCode } from '../base/errors.ts'
import type { ConnectionInfo } from '../core/connection-info.ts'
import type { ConnectionSlot } from '../listener/connection-slot.ts'
import type { Deliver } from '../listener/listener.ts'
import { TcpMode, type TcpRecord, type TcpSettings } from '../listener/tcp-mode.ts'
import { type Admission, type Ticket, UNLIMITED, type Waiter } from '../upstream/admission/admission.ts'
import type { UpstreamGroup } from '../upstream/upstream-group.ts'
import { UpstreamTcpTarget } from './tcp-target.ts'

/**
 * Where the connections of a listener in tcp mode enter: each holds one slot of the upstream's concurrency limit, for as
 * long as it is open, and waits for it like a request does.
 */
export class TcpEntry {
  readonly #upstreams: UpstreamGroup
  readonly #upstream: string
  readonly #tcp: TcpMode
  readonly #onRecord: (record: TcpRecord) => void
  readonly #admitted = new Map<ConnectionInfo, Admission>()
  readonly #waiting = new Set<WaitingConnection>()

  /** @param onRecord called once for each connection, when it has ended */
  constructor(
    settings: TcpSettings,
    upstreams: UpstreamGroup,
    upstream: string,
    onRecord: (record: TcpRecord) => void,
  ) {
    this.#upstreams = upstreams
    this.#upstream = upstream
    this.#onRecord = onRecord
    this.#tcp = new TcpMode(settings, new UpstreamTcpTarget(upstreams, upstream), Date.now, (record) => {
      this.#admitted.get(record.connection)?.leave()
      this.#admitted.delete(record.connection)
      onRecord(record)
    })
  }

  /** Connections that are passed on, or wait for that. */
  get open(): number {
    return this.#tcp.open + this.#waiting.size
  }

  /** Takes a delivered connection over. */
  readonly deliver: Deliver = (socket, info, firstBytes, slot) => {
    const admission = this.#upstreams.get(this.#upstream)?.admission ?? UNLIMITED
    if (admission.tryEnter()) {
      this.#enter(socket, info, firstBytes, slot, admission)
      return
    }
    const waiting = new WaitingConnection(socket, admission, (outcome) => {
      this.#waiting.delete(waiting)
      if (outcome === null) this.#enter(socket, info, firstBytes, slot, admission)
      else this.#refused(info, slot, waiting.sinceMs, outcome)
    })
    this.#waiting.add(waiting)
    waiting.start()
  }

  /** Ends every connection now; their records say why. */
  abortAll(reason: ReasonCode): void {
    for (const waiting of this.#waiting) waiting.end(reason)
    this.#tcp.abortAll(reason)
  }

  #enter(
    socket: Socket,
    info: ConnectionInfo,
    firstBytes: Buffer | null,
    slot: ConnectionSlot,
    admission: Admission,
  ): void {
    this.#admitted.set(info, admission)
    this.#tcp.accept(socket, info, firstBytes, slot)
  }

  #refused(connection: ConnectionInfo, slot: ConnectionSlot, startedMs: number, outcome: ReasonCode): void {
    slot.release()
    const durationMs = Date.now() - startedMs
    this.#onRecord({ connection, startedMs, durationMs, endpoint: null, attempts: 0, bytesIn: 0, bytesOut: 0, outcome })
  }
}

/** A connection that waits for a slot. What it sends meanwhile stays in its socket, up to the socket's own limit. */
class WaitingConnection implements Waiter {
  readonly sinceMs = Date.now()
  readonly #socket: Socket
  readonly #admission: Admission
  readonly #onOver: (outcome: ReasonCode | null) => void
  readonly #onGone = (): void => this.end('client-gone')
  #ticket: Ticket | null = null
  #over = false

  /** @param onOver called once: null when it has a slot, else why it was closed */
  constructor(socket: Socket, admission: Admission, onOver: (outcome: ReasonCode | null) => void) {
    this.#socket = socket
    this.#admission = admission
    this.#onOver = onOver
  }

  start(): void {
    this.#socket.on('error', this.#onGone)
    this.#socket.on('close', this.#onGone)
    const ticket = this.#admission.enqueue(this)
    if (ticket === 'full') {
      this.end('upstream-queue-full')
      return
    }
    this.#ticket = ticket
    // Starts to read into the socket's own buffer: a client that resets would not be noticed otherwise.
    this.#socket.read(0)
  }

  onAdmitted(): void {
    this.#over = true
    this.#socket.off('error', this.#onGone)
    this.#socket.off('close', this.#onGone)
    this.#onOver(null)
  }

  onQueueTimeout(): void {
    this.#ticket = null
    this.end('upstream-queue-timeout')
  }

  end(reason: ReasonCode): void {
    if (this.#over) return
    this.#over = true
    if (this.#ticket !== null) this.#admission.cancel(this.#ticket)
    this.#socket.destroy()
    this.#onOver(reason)
  }
}
