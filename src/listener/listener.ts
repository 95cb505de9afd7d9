import { createServer, type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { unmapIp } from '../base/cidr.ts'
import type { ReasonCode } from '../base/errors.ts'
import { ConnectionInfo, type TlsInfo } from '../core/connection-info.ts'
import type { ConnectionSlot } from './connection-slot.ts'
import { ConnectionTable } from './connection-table.ts'
import { OverloadReply } from './overload-reply.ts'
import { PendingConnection, type PendingOwner } from './pending-connection.ts'
import type { ListenerEvents, ListenerSettings, ListenerShare } from './settings.ts'
import { SharedCount } from './shared-count.ts'
import { createSecureContexts } from './tls/secure-context.ts'
import { type HandshakeListener, TlsAcceptor } from './tls/tls-acceptor.ts'
import { removeStaleSocket, restrictSocket } from './unix-socket.ts'

/**
 * Takes a connection over. Called in the same turn in which the last byte before it was read.
 * @param socket a paused `net.Socket` that nobody reads (call `resume`), or a TLSSocket after its handshake, not flowing yet.
 *   Attach handlers for `error`, `end` and `close` at once: after a PROXY header the client's FIN may be there already.
 * @param firstBytes what was read of the stream already; null for none
 * @param slot set `owner`, call `markIdle` and `markBusy`, and `release` once the connection has ended
 */
export type Deliver = (socket: Socket, info: ConnectionInfo, firstBytes: Buffer | null, slot: ConnectionSlot) => void

/** Connections that the kernel holds until they are accepted. Linux caps it at net.core.somaxconn, 4096 by default. */
const BACKLOG = 4096

/** One address the edge accepts on, on one thread: limits, PROXY protocol and TLS, then the connection is delivered. */
export class Listener implements PendingOwner, HandshakeListener {
  #settings: ListenerSettings
  #share: ListenerShare
  #acceptor: TlsAcceptor | null = null
  readonly #deliver: Deliver
  readonly #events: ListenerEvents
  readonly #servers: Server[]
  readonly #overload = new OverloadReply()
  /** Connections in their TLS handshake. Bounded by `limits.handshakes`. */
  readonly #handshakes = new Map<Socket, PendingConnection>()
  #accepted = 0
  /** The connections of this listener on this thread. */
  readonly table: ConnectionTable

  /** Throws an Error when a certificate or key cannot be used. Opens nothing yet. */
  constructor(settings: ListenerSettings, share: ListenerShare, deliver: Deliver, events: ListenerEvents) {
    this.#settings = settings
    this.#share = share
    this.#deliver = deliver
    this.#events = events
    const count = new SharedCount(share.connectionCells, share.thread)
    this.table = new ConnectionTable(settings.limits, count, () => events.onClosed())
    this.#acceptor = this.#createAcceptor(settings, share.ticketKeys)
    const onConnection = (socket: Socket): void => this.#onConnection(socket)
    const sockets = 'path' in settings.address ? 1 : (share.sockets ?? 1)
    this.#servers = Array.from({ length: sockets }, () =>
      createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, onConnection),
    )
  }

  /** The listener's name in the configuration. */
  get name(): string {
    return this.#settings.name
  }

  /** Connections open on this thread, those in a handshake included. */
  get openConnections(): number {
    return this.table.open
  }

  /**
   * Starts to accept. Resolves with the bound port, 0 for a unix socket; rejects with what the system says, such as EADDRINUSE.
   * @param options port: taken instead of the settings' one, for threads that share the port another one was given
   */
  async listen(options: { port?: number } = {}): Promise<number> {
    const { address } = this.#settings
    if ('path' in address) {
      if (this.#share.threads > 1 && this.#share.thread > 0) throw new Error('a unix socket is for one thread only')
      await removeStaleSocket(address.path)
      await bind(this.#servers[0], { path: address.path, backlog: BACKLOG }, this.#events)
      restrictSocket(address.path)
      return 0
    }
    const reusePort = this.#share.threads > 1 || this.#servers.length > 1
    let port = options.port ?? address.port
    for (const server of this.#servers) {
      try {
        await bind(server, { host: address.host, port, backlog: BACKLOG, reusePort }, this.#events)
      } catch (error) {
        for (const open of this.#servers) if (open.listening) open.close()
        throw error
      }
      const bound = server.address()
      if (bound !== null && typeof bound === 'object') port = bound.port
    }
    return port
  }

  /**
   * Takes new settings for connections to come: certificates, limits, trust, timeouts. Closes nothing. The address must be the
   * same. Throws an Error for unusable certificates; the old settings then stay.
   * @param ticketKeys new keys end the sessions made with the old ones
   */
  update(settings: ListenerSettings, ticketKeys: Buffer = this.#share.ticketKeys): void {
    this.#acceptor = this.#createAcceptor(settings, ticketKeys)
    this.#settings = settings
    this.#share = { ...this.#share, ticketKeys }
    this.table.setLimits(settings.limits)
  }

  /** Stops to accept; resolves when the address is free. Open connections go on. */
  async stopAccepting(): Promise<void> {
    if (!this.#isListening) return
    // What the kernel has accepted already would be reset by the close: take it in first. Node accepts one in each turn.
    for (let turn = 0, quiet = 0; quiet < 2 && turn < BACKLOG; turn++) {
      const before = this.#accepted
      await new Promise((resolve) => setImmediate(resolve))
      quiet = this.#accepted === before ? quiet + 1 : 0
    }
    for (const server of this.#servers) if (server.listening) server.close()
  }

  get #isListening(): boolean {
    return this.#servers.some((server) => server.listening)
  }

  onHeader(pending: PendingConnection, rest: Buffer | null): void {
    if (this.#acceptor !== null) {
      if (rest !== null) pending.raw.unshift(rest)
      this.#handshake(pending)
      return
    }
    pending.handOver()
    this.#deliver(pending.raw, this.#info(pending, null), rest, pending.slot)
  }

  onHandshake(pending: PendingConnection, socket: TLSSocket, info: TlsInfo): void {
    this.#handshakes.delete(pending.raw)
    this.#deliver(socket, this.#info(pending, info), null, pending.slot)
  }

  onEnded(pending: PendingConnection, phase: 'header' | 'handshake', reason: ReasonCode | null): void {
    this.#handshakes.delete(pending.raw)
    if (reason === null) return
    if (phase === 'handshake') this.#events.onHandshakeFailed(reason, pending.peerIp)
    else this.#events.onRefused(reason, pending.peerIp)
  }

  onSecure(raw: Socket, socket: TLSSocket, info: TlsInfo): void {
    const pending = this.#handshakes.get(raw)
    if (pending === undefined) socket.destroy()
    else pending.onSecure(socket, info)
  }

  onFailed(raw: Socket, reason: ReasonCode): void {
    this.#handshakes.get(raw)?.end(reason)
  }

  #onConnection(raw: Socket): void {
    this.#accepted++
    const settings = this.#settings
    const isUnix = 'path' in settings.address
    const address = isUnix ? 'unix' : raw.remoteAddress
    if (address === undefined) {
      // It ended before it was accepted.
      raw.destroy()
      return
    }
    const peerIp = unmapIp(address)
    const senders = settings.proxyProtocol
    const demanded = senders !== null && (isUnix || senders.contains(peerIp))
    const slot = this.table.admit(demanded ? null : peerIp)
    if (slot === null) {
      this.#refuse(raw, peerIp)
      return
    }
    this.#events.onAccepted()
    const peerPort = isUnix ? 0 : (raw.remotePort ?? 0)
    if (senders === null && this.#acceptor === null) {
      const { name, trustedProxies } = settings
      this.#deliver(raw, new ConnectionInfo(name, peerIp, peerPort, 'http', null, null, trustedProxies), null, slot)
      return
    }
    const pending = new PendingConnection(raw, slot, settings, peerIp, peerPort, this)
    if (senders !== null) pending.readHeader(demanded)
    else this.#handshake(pending)
  }

  #handshake(pending: PendingConnection): void {
    const acceptor = this.#acceptor!
    pending.beginHandshake()
    if (!this.table.beginHandshake(pending.slot)) {
      pending.end('connections-exceeded')
      return
    }
    this.#handshakes.set(pending.raw, pending)
    acceptor.accept(pending.raw)
  }

  #info(pending: PendingConnection, tls: TlsInfo | null): ConnectionInfo {
    const { name, trustedProxies } = pending.settings
    const { peerIp, peerPort, tlvs, destination } = pending
    const scheme = tls === null ? 'http' : 'https'
    return new ConnectionInfo(name, peerIp, peerPort, scheme, tls, tlvs, trustedProxies, destination)
  }

  #refuse(raw: Socket, peerIp: string): void {
    if (this.#settings.mode === 'tcp' || this.#acceptor !== null) raw.destroy()
    else this.#overload.send(raw)
    this.#events.onRefused('connections-exceeded', peerIp)
  }

  #createAcceptor(settings: ListenerSettings, ticketKeys: Buffer): TlsAcceptor | null {
    if (settings.tls === null) return null
    const contexts = createSecureContexts(settings.name, settings.tls, ticketKeys)
    return new TlsAcceptor(settings.tls, contexts, settings.timeouts.handshakeMs, this, this.#share.now ?? Date.now)
  }
}

function bind(server: Server, options: Parameters<Server['listen']>[0], events: ListenerEvents): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.off('error', reject)
      // EMFILE and its kin: without a handler one would end the thread.
      server.on('error', (error) => events.onError(error))
      resolve()
    })
  })
}
