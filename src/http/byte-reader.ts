import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** What reads a socket. The bytes are valid only during the call: whoever keeps them copies them. */
export interface ByteReader {
  onBytes(buf: Buffer, start: number, end: number): void
  /** The peer will send no more (FIN). */
  onEnd(): void
  /** All that was written has left the process. */
  onDrain(): void
  /** The socket is gone; `error` when it broke. Last call. */
  onClose(error: Error | null): void
}

/** One read buffer for all plain sockets of a thread: reading allocates nothing, however many connections there are. */
const SHARED = Buffer.allocUnsafeSlow(64 * 1024)

/** A net.Socket as Node makes it, with the handle it reads from. */
interface SocketWithHandle extends Socket {
  _handle: object | null
  _readableState: { readonly ended: boolean }
  _server?: unknown
}

const READER = Symbol('reader')
interface ReadSocket extends Socket {
  [READER]: ByteReader
  error: Error | null
}

/**
 * Gives a socket's bytes to `reader`; returns the socket to write to and to pause and resume.
 *
 * A plain accepted socket (paused, nothing read) is taken over by its handle, so that it reads into the shared buffer
 * (`onread` of net.Socket; Node offers it to outgoing connections only). Others (TLS) are read by `data` events.
 */
export function readFrom(socket: Socket, reader: ByteReader): Socket {
  const plain = socket as SocketWithHandle
  const isRead = socket.readableLength > 0 || socket.readableFlowing || plain._readableState.ended
  if (socket instanceof TLSSocket || !plain._handle || isRead) {
    listen(socket, reader)
    socket.on('data', onData)
    // What happened while nobody listened is told now.
    if (socket.destroyed) process.nextTick(() => reader.onClose(null))
    else if (socket.readableEnded) process.nextTick(() => reader.onEnd())
    return socket
  }
  const taken = new Socket({
    handle: plain._handle,
    allowHalfOpen: true,
    onread: onreadFor(reader),
  } as ConstructorParameters<typeof Socket>[0]) as SocketWithHandle
  taken._server = plain._server
  plain._server = null
  plain._handle = null
  plain.removeAllListeners()
  listen(taken, reader)
  return taken
}

/** The `onread` option for an outgoing plain connection whose bytes go to `reader`. */
export function onreadFor(reader: ByteReader): {
  buffer: Buffer
  callback: (bytes: number, buf: Uint8Array) => boolean
} {
  return {
    buffer: SHARED,
    callback: (bytes) => {
      reader.onBytes(SHARED, 0, bytes)
      return true
    },
  }
}

/** Connects the other events of a socket that already reads by `onread`. */
export function listen(socket: Socket, reader: ByteReader): void {
  const read = socket as ReadSocket
  read[READER] = reader
  read.error = null
  socket.on('end', onEnd)
  socket.on('drain', onDrain)
  socket.on('error', onError)
  socket.on('close', onClose)
}

function onData(this: ReadSocket, data: Buffer): void {
  this[READER].onBytes(data, 0, data.length)
}
function onEnd(this: ReadSocket): void {
  this[READER].onEnd()
}
function onDrain(this: ReadSocket): void {
  this[READER].onDrain()
}
function onError(this: ReadSocket, error: Error): void {
  this.error = error
}
function onClose(this: ReadSocket): void {
  this[READER].onClose(this.error)
}
