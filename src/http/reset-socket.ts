import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** Ends a connection so that the peer cannot take what it got for whole. Only TCP has a reset; TLS ends without close_notify. */
export function resetSocket(socket: Socket): void {
  // Nor after `end`: libuv refuses a reset while the FIN waits, and Node then leaks the handle and cannot end its thread.
  if (socket.writableEnded || socket instanceof TLSSocket || socket.remoteAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}
