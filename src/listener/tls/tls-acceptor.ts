import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls'
import type { ReasonCode } from '../../base/errors.ts'
import type { TlsInfo } from '../../core/connection-info.ts'
import { createClientCertificate } from './client-certificate.ts'
import type { SecureContexts, TlsSettings } from './secure-context.ts'

/** Who is told how a handshake ended. */
export interface HandshakeListener {
  /** The handshake is done and the client certificate rules hold. No byte of the application was read. */
  onSecure(raw: Socket, socket: TLSSocket, info: TlsInfo): void
  /** It failed; the sockets are destroyed already. Never follows `onSecure`. */
  onFailed(raw: Socket, reason: ReasonCode): void
}

/** The protocols offered by ALPN. A client that offers only others is refused with no_application_protocol (RFC 7301 3.2). */
const PROTOCOLS = ['http/1.1', 'http/1.0']

/**
 * Runs TLS handshakes on accepted sockets, for one version of a listener's settings.
 *
 * A `tls.Server` that never listens does the work; connections are given to it as its documentation allows.
 */
export class TlsAcceptor {
  readonly #server: Server
  readonly #mode: 'none' | 'request' | 'require'
  readonly #listener: HandshakeListener
  readonly #now: () => number

  /**
   * @param handshakeTimeoutMs for the whole handshake, however its bytes trickle in; Infinity for none
   * @param now milliseconds since 1970
   */
  constructor(
    tls: TlsSettings,
    contexts: SecureContexts,
    handshakeTimeoutMs: number,
    listener: HandshakeListener,
    now: () => number,
  ) {
    this.#mode = tls.clientCertificate?.mode ?? 'none'
    this.#listener = listener
    this.#now = now
    const byName = contexts.byName
    const SNICallback = (name: string, done: (error: Error | null, context?: SecureContext) => void): void =>
      done(null, byName?.find(name) ?? undefined)
    this.#server = createServer({
      ALPNProtocols: PROTOCOLS,
      requestCert: this.#mode !== 'none',
      rejectUnauthorized: this.#mode === 'require',
      // Node takes 0 for its own default of two minutes.
      handshakeTimeout: Math.min(Math.max(1, handshakeTimeoutMs), 0x7fffffff),
      ...(byName !== null && { SNICallback }),
      ...contexts.defaults,
    })
    this.#server.on('secureConnection', (socket: TLSSocket) => this.#onSecure(socket))
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      const timedOut = error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT'
      this.#fail(socket, timedOut ? 'tls-handshake-timeout' : 'tls-handshake-failed')
    })
  }

  /** Starts the handshake. Bytes that were read already must have been put back with `unshift`. */
  accept(raw: Socket): void {
    // A client that sends FIN inside its handshake will never finish it.
    raw.allowHalfOpen = false
    this.#server.emit('connection', raw)
  }

  #onSecure(socket: TLSSocket): void {
    const certificate = this.#mode === 'none' ? undefined : socket.getPeerX509Certificate()
    if (!this.#isAcceptable(socket, certificate)) {
      this.#fail(socket, 'tls-handshake-failed')
      return
    }
    socket.allowHalfOpen = true
    this.#listener.onSecure(rawSocket(socket), socket, {
      version: socket.getProtocol() ?? '',
      cipher: socket.getCipher().name,
      serverName: typeof socket.servername === 'string' ? socket.servername.toLowerCase() : null,
      clientCertificate: certificate === undefined ? null : createClientCertificate(certificate),
    })
  }

  #isAcceptable(socket: TLSSocket, certificate: X509Certificate | undefined): boolean {
    if (this.#mode === 'none') return true
    // `authorized` alone is not enough: Node sets it for every resumed TLS 1.3 session, one without a certificate included.
    if (certificate === undefined) return this.#mode === 'request'
    // A resumed session was verified when it was new; the certificate may have expired since.
    return socket.authorized && Date.parse(certificate.validTo) > this.#now()
  }

  #fail(socket: TLSSocket, reason: ReasonCode): void {
    const raw = rawSocket(socket)
    socket.destroy()
    raw.destroy()
    this.#listener.onFailed(raw, reason)
  }
}

/** The socket below a TLSSocket. Node sets it and does not document it; a test of this file holds it. */
function rawSocket(socket: TLSSocket): Socket {
  return (socket as TLSSocket & { _parent: Socket })._parent
}
