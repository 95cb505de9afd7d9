import { connect, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type PeerCertificate, type SecureContext } from 'node:tls'
import { listen, onreadFor } from '../../../http/byte-reader.ts'
import type { UpstreamConnection } from './upstream-connection.ts'

/** How to reach one endpoint. */
export interface DialTarget {
  /** IP address or name; ignored with `path`. */
  readonly address: string
  readonly port: number
  /** Unix socket. */
  readonly path: string | null
  readonly tls: DialTls | null
}

export interface DialTls {
  readonly context: SecureContext
  /** Name the certificate must be for; also sent as SNI unless it is an IP address. */
  readonly serverName: string
  /** The last session, so that the next handshake is short; written by the dialler. */
  session: Buffer | undefined
}

const KEEP_ALIVE_MS = 30_000

/**
 * Opens a connection; the result is told to `connection` (`opened` or `openFailed`/`onClose`).
 * `prelude` (a PROXY header) goes out before anything else, before TLS too.
 */
export function dial(connection: UpstreamConnection, target: DialTarget, prelude: Buffer | null): void {
  const options = {
    host: target.address,
    port: target.port,
    ...(target.path === null ? {} : { path: target.path }),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    allowHalfOpen: true,
  }
  const { tls } = target
  if (tls === null) {
    const socket = connect({ ...options, onread: onreadFor(connection) })
    attach(connection, socket)
    socket.once('connect', () => {
      if (prelude !== null) socket.write(prelude)
      connection.opened()
    })
    return
  }
  const tlsOptions = {
    secureContext: tls.context,
    servername: isIP(tls.serverName) === 0 ? tls.serverName : '',
    session: tls.session,
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: true,
  }
  if (prelude === null) {
    secure(connection, tls, { ...options, ...tlsOptions }, tls.serverName)
    return
  }
  const raw = connect(options)
  const early = (): void => connection.openFailed('connect')
  raw.once('error', early)
  raw.once('connect', () => {
    raw.off('error', early)
    raw.write(prelude)
    secure(connection, tls, { ...tlsOptions, socket: raw }, tls.serverName)
  })
  connection.setSocket(raw)
}

function secure(connection: UpstreamConnection, tls: DialTls, options: object, serverName: string): void {
  const socket = connectTls({
    ...options,
    // The certificate must name the endpoint as configured, whatever address was dialled.
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => checkServerIdentity(serverName, certificate),
    ...('socket' in options ? {} : { onread: onreadFor(connection) }),
  } as never)
  attach(connection, socket)
  if ('socket' in options) socket.on('data', (data: Buffer) => connection.onBytes(data, 0, data.length))
  socket.on('session', (session) => {
    tls.session = session
  })
  if (socket.connecting) socket.once('connect', () => connection.handshakeBegun())
  else connection.handshakeBegun()
  socket.on('error', (error) => connection.tlsFailed(error))
  socket.once('secureConnect', () => connection.opened())
}

function attach(connection: UpstreamConnection, socket: Socket): void {
  listen(socket, connection)
  connection.setSocket(socket)
}
