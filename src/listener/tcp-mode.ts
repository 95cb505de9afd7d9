import type { Socket } from 'node:net'
import type { ReasonCode } from '../base/errors.ts'
import type { ConnectionInfo } from '../core/connection-info.ts'
import type { Outcome } from '../core/outcome.ts'
import type { ConnectionSlot } from './connection-slot.ts'
import { TcpTunnel } from './tcp-tunnel.ts'

/** An endpoint picked for one connection. */
export interface TcpEndpoint {
  /** IP address or name. */
  readonly host: string
  readonly port: number
  /** A unix socket instead of host and port. */
  readonly path?: string
  /** A connection to it is tried now. Followed by exactly one `finished`. */
  started(): void
  /** The connection ended, or never came about. False when the endpoint is to blame: it refused, was silent or reset. */
  finished(ok: boolean): void
}

/** Chooses endpoints: the upstream, as this layer sees it. */
export interface TcpTarget {
  /**
   * The endpoint to try for a client. Null: none is left.
   * @param peerIp who connected, after a trusted PROXY header
   * @param tried those that this connection has failed to reach
   */
  pick(peerIp: string, tried: readonly TcpEndpoint[]): TcpEndpoint | null
}

/** How connections are passed on. Milliseconds; Infinity lifts a timeout. */
export interface TcpSettings {
  readonly connectTimeoutMs: number
  /** Without a byte in either direction. */
  readonly idleTimeoutMs: number
  /** Endpoints tried before giving up, at least 1. */
  readonly attempts: number
  /** Sent first to the endpoint. */
  readonly proxyProtocol: 'v1' | 'v2' | null
}

/** One line of the access log for one connection. */
export interface TcpRecord {
  readonly connection: ConnectionInfo
  /** Milliseconds since 1970. */
  readonly startedMs: number
  readonly durationMs: number
  /** `host:port` or the path tried last; null when there was none. */
  readonly endpoint: string | null
  readonly attempts: number
  /** Bytes from the client, and to it, without PROXY headers. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** `ok`: both sides closed in order. */
  readonly outcome: Outcome
}

/** Layer 4: passes the bytes of connections on to endpoints, untouched. */
export class TcpMode {
  #settings: TcpSettings
  #target: TcpTarget
  readonly #now: () => number
  readonly #onRecord: (record: TcpRecord) => void
  readonly #tunnels = new Set<TcpTunnel>()
  #drained: PromiseWithResolvers<void> | null = null

  /** @param now milliseconds since 1970 */
  constructor(settings: TcpSettings, target: TcpTarget, now: () => number, onRecord: (record: TcpRecord) => void) {
    this.#settings = settings
    this.#target = target
    this.#now = now
    this.#onRecord = onRecord
  }

  /** Connections that are passed on now. */
  get open(): number {
    return this.#tunnels.size
  }

  /** Takes over a delivered connection: the `Deliver` of a listener in tcp mode. */
  readonly accept = (socket: Socket, info: ConnectionInfo, firstBytes: Buffer | null, slot: ConnectionSlot): void => {
    const tunnel = new TcpTunnel(socket, info, firstBytes, this.#settings, this.#now, (record) => {
      this.#tunnels.delete(tunnel)
      slot.release()
      this.#onRecord(record)
      if (this.#tunnels.size === 0) this.#drained?.resolve()
    })
    this.#tunnels.add(tunnel)
    tunnel.start(this.#target)
  }

  /** Takes new settings for connections to come. */
  update(settings: TcpSettings, target: TcpTarget): void {
    this.#settings = settings
    this.#target = target
  }

  /** Ends every connection now; their records say why. */
  abortAll(reason: ReasonCode): void {
    for (const tunnel of this.#tunnels) tunnel.abort(reason)
  }

  /** Resolves when no connection is left: each may finish until the deadline, then it is ended. Stop the listener first. */
  async drain(deadlineMs: number): Promise<void> {
    if (this.#tunnels.size === 0) return
    const timer = setTimeout(() => {
      for (const tunnel of this.#tunnels) tunnel.abort('draining')
    }, deadlineMs)
    this.#drained ??= Promise.withResolvers<void>()
    await this.#drained.promise
    clearTimeout(timer)
  }
}
