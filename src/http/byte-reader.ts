import { Socket } from 'node:net'

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

const READER = Symbol('reader')
interface ReadSocket extends Socket {
  [READER]: ByteReader
  error: Error | null
}

/**
 * Gives the bytes of an accepted socket (paused, plain or TLS after its handshake) to `reader`.
 *
 * The socket is made to read into the shared buffer, as `onread` does for outgoing connections; Node offers that option
 * to nobody else. Where it cannot be done (bytes wait already, another version of Node) the socket is read by `data` events.
 */
export function readFrom(socket: Socket, reader: ByteReader): void {
  listen(socket, reader)
  if (socket.destroyed) {
    process.nextTick(() => reader.onClose(null))
  } else if (socket.readableEnded) {
    // What happened while nobody listened is told now.
    process.nextTick(() => reader.onEnd())
  } else {
    if (!shareBuffer(socket, reader)) socket.on('data', onData)
    // A socket that was paused before would not flow for a listener alone.
    socket.resume()
  }
}

/** What `onread` sets on a socket: properties of Node's own, found by their names. Null when this Node has others. */
const ONREAD = onreadProperties()

function onreadProperties(): { buffer: symbol; callback: symbol } | null {
  const symbols = Object.getOwnPropertySymbols(new Socket())
  const buffer = symbols.find((symbol) => symbol.description === 'kBuffer')
  const callback = symbols.find((symbol) => symbol.description === 'kBufferCb')
  return buffer === undefined || callback === undefined ? null : { buffer, callback }
}

/** True when sockets that were accepted read into the shared buffer on this Node. */
export const SHARES_BUFFER: boolean = ONREAD !== null

function shareBuffer(socket: Socket, reader: ByteReader): boolean {
  const open = socket as Socket & { _handle?: { useUserBuffer?: (buffer: Buffer) => void } } & Record<symbol, unknown>
  if (ONREAD === null || socket.readableLength > 0 || typeof open._handle?.useUserBuffer !== 'function') return false
  open[ONREAD.buffer] = SHARED
  open[ONREAD.callback] = onreadFor(reader).callback
  open._handle.useUserBuffer(SHARED)
  return true
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
