import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ReasonCode } from '../base/errors.ts'
import type { Destination, ProxyTlv, TlsInfo } from '../core/connection-info.ts'
import type { ConnectionSlot, IdleClosable } from './connection-slot.ts'
import { type GateListener, HeaderGate } from './header-gate.ts'
import type { ProxyHeader } from './proxy-protocol/header.ts'
import type { ListenerSettings } from './settings.ts'

/** The listener, as a connection sees it that is not delivered yet. */
export interface PendingOwner {
  /** The first bytes are settled: start TLS or deliver. */
  onHeader(pending: PendingConnection, rest: Buffer | null): void
  /** TLS is established: deliver. */
  onHandshake(pending: PendingConnection, socket: TLSSocket, info: TlsInfo): void
  /** Closed. `phase` says where. Reason null: nobody needs to hear of it. */
  onEnded(pending: PendingConnection, phase: 'header' | 'handshake', reason: ReasonCode | null): void
}

/**
 * A connection between accept and delivery: while its PROXY header is read and its TLS handshake runs.
 * In both phases it counts as idle: under a flood the ones that stall the longest go first.
 */
export class PendingConnection implements GateListener, IdleClosable {
  readonly raw: Socket
  readonly slot: ConnectionSlot
  /** The settings it was accepted under. */
  readonly settings: ListenerSettings
  /** Who opened it; after a PROXY header who that names. */
  peerIp: string
  peerPort: number
  tlvs: readonly ProxyTlv[] | null = null
  /** Where a PROXY header said the client connected to; null without one. */
  destination: Destination | null = null
  readonly #owner: PendingOwner
  #gate: HeaderGate | null = null
  #phase: 'header' | 'handshake' | 'over' = 'header'

  constructor(
    raw: Socket,
    slot: ConnectionSlot,
    settings: ListenerSettings,
    peerIp: string,
    peerPort: number,
    owner: PendingOwner,
  ) {
    this.raw = raw
    this.slot = slot
    this.settings = settings
    this.peerIp = peerIp
    this.peerPort = peerPort
    this.#owner = owner
    slot.owner = this
    slot.markIdle()
  }

  /** Reads the PROXY header, or makes sure there is none. */
  readHeader(demanded: boolean): void {
    this.#gate = new HeaderGate(this.raw, demanded, this.settings.timeouts.handshakeMs, this)
  }

  /** Marks that the TLS handshake runs now. */
  beginHandshake(): void {
    this.#phase = 'handshake'
    this.raw.on('close', this.#onRawClose)
  }

  onPassed(header: ProxyHeader | null, rest: Buffer | null): void {
    this.#gate = null
    this.slot.markBusy()
    if (header !== null) {
      this.tlvs = header.tlvs
      if (!header.local) {
        this.peerIp = header.sourceIp
        this.peerPort = header.sourcePort
        this.destination = { ip: header.destinationIp, port: header.destinationPort }
      }
      if (!this.slot.table.identify(this.slot, this.peerIp)) {
        this.end('connections-exceeded')
        return
      }
    }
    this.slot.markIdle()
    this.#owner.onHeader(this, rest)
  }

  onRefused(reason: ReasonCode | null): void {
    this.end(reason)
  }

  onSecure(socket: TLSSocket, info: TlsInfo): void {
    if (this.#phase !== 'handshake') {
      socket.destroy()
      return
    }
    this.handOver()
    this.slot.table.endHandshake(this.slot)
    this.#owner.onHandshake(this, socket, info)
  }

  /** Lets go of socket and slot: what is delivered belongs to whom it was delivered to. */
  handOver(): void {
    this.#phase = 'over'
    this.raw.off('close', this.#onRawClose)
    this.slot.markBusy()
    this.slot.owner = null
  }

  /** Closes the connection and frees its place. Only the first call counts. */
  end(reason: ReasonCode | null): void {
    const phase = this.#phase
    if (phase === 'over') return
    this.#phase = 'over'
    this.#gate?.stop()
    this.#gate = null
    this.raw.on('error', ignore)
    this.raw.destroy()
    this.slot.release()
    this.#owner.onEnded(this, phase, reason)
  }

  closeIdle(): void {
    this.end('connections-exceeded')
  }

  readonly #onRawClose = (): void => {
    this.end('tls-handshake-failed')
  }
}

/** The socket is being destroyed: what it still reports concerns nobody. */
function ignore(): void {}
