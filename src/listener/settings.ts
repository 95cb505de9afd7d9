import type { CidrSet } from '../base/cidr.ts'
import type { ReasonCode } from '../base/errors.ts'
import type { ConnectionLimits } from './connection-table.ts'
import type { TlsSettings } from './tls/secure-context.ts'

/** Where a listener accepts: an IP address and port (0: a free one), or the path of a unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string }

/** One listener, compiled from the configuration. Immutable: a reload makes a new one. */
export interface ListenerSettings {
  readonly name: string
  readonly address: ListenAddress
  /** `tcp`: layer 4, no HTTP reply is ever written. */
  readonly mode: 'http' | 'tcp'
  readonly tls: TlsSettings | null
  /**
   * Who sends a PROXY protocol header: demanded from these, refused from all others. Null: nobody looks for one.
   * On a unix socket it is demanded from everyone: who may connect is said by the file's owner and group.
   */
  readonly proxyProtocol: CidrSet | null
  readonly trustedProxies: CidrSet | null
  readonly limits: ConnectionLimits
  /** Milliseconds, for the PROXY header and again for the TLS handshake; Infinity lifts it. */
  readonly timeouts: { readonly handshakeMs: number }
}

/** What a listener shares with its twins on other threads. */
export interface ListenerShare {
  /**
   * Listening sockets of this thread on one address, default 1; more need SO_REUSEPORT. Node accepts one connection per
   * socket and turn of its event loop, so with a single one a loaded thread takes newcomers in only slowly.
   */
  readonly sockets?: number
  /** Index of this thread, 0 to threads - 1. */
  readonly thread: number
  readonly threads: number
  /** Of `createCountCells(threads)`: one array for each listener. */
  readonly connectionCells: Int32Array
  /** 48 random bytes, the same on every thread. Used with TLS only. */
  readonly ticketKeys: Buffer
  /** Milliseconds since 1970; the system's clock when absent. */
  readonly now?: () => number
}

/** Where a listener tells what happens. Called on the path of each connection: do little. */
export interface ListenerEvents {
  /** A connection was taken in; exactly one `onClosed` follows. A refused one gets `onRefused` instead. */
  onAccepted(): void
  /** A connection that was taken in has ended. */
  onClosed(): void
  /** A connection was closed before it was delivered, taken in or not: limits, PROXY protocol, slow senders. */
  onRefused(reason: ReasonCode, peerIp: string): void
  /** A TLS handshake failed: `tls-handshake-failed`, `tls-handshake-timeout` or `connections-exceeded`. */
  onHandshakeFailed(reason: ReasonCode, peerIp: string): void
  /** `accept` itself failed, such as EMFILE: the listener goes on. */
  onError(error: Error): void
}
