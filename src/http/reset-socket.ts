import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** Ends a connection so that the peer cannot take what it got for whole. Only TCP has a reset; TLS ends without close_notify. */
export function resetSocket(socket: Socket): void {
  if (socket instanceof TLSSocket || socket.remoteAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}
