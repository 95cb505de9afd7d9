import type { Socket } from 'node:net'
import { REASONS } from '../base/errors.ts'

const REPLY = createReply()
/** How many refused sockets may wait for their client to read the reply, and for how long. Beyond: closed at once. */
const LINGER_SOCKETS = 64
const LINGER_MS = 1000

/** Answers connections that there is no room for with a 503 and closes them. */
export class OverloadReply {
  #lingering = 0

  /** Writes the reply and closes the socket, within a second. The socket has no other owner. */
  send(socket: Socket): void {
    socket.on('error', ignore)
    socket.end(REPLY)
    if (this.#lingering >= LINGER_SOCKETS) {
      socket.destroySoon()
      return
    }
    // Closing over unread request bytes sends a RST, which can overtake the reply: so read and discard for a moment.
    this.#lingering++
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.on('close', () => {
      clearTimeout(timer)
      this.#lingering--
    })
    socket.resume()
  }
}

function createReply(): Buffer {
  const { status, title } = REASONS['connections-exceeded']
  const body = JSON.stringify({ status, title, code: 'connections-exceeded' })
  return Buffer.from(
    `HTTP/1.1 ${status} Service Unavailable\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

/** The client is gone: nothing is owed to it. */
function ignore(): void {}
