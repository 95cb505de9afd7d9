import { createConnection, type Socket } from 'node:net'
import { type ByteReader, listen, onreadFor, readFrom } from '../http/byte-reader.ts'
import { ByteWriter } from '../http/byte-writer.ts'

/** Where an endpoint is reached. */
export type TunnelAddress = { readonly host: string; readonly port: number } | { readonly path: string }

/**
 * One of the two connections of a tunnel. What it reads goes to the other one, and it stops to read while the other one
 * holds back. It reads into the thread's shared buffer, so that large transfers leave no garbage.
 */
export class TunnelSide implements ByteReader {
  readonly socket: Socket
  readonly writer: ByteWriter
  /** Bytes read so far. */
  received = 0
  closed = false
  #other: TunnelSide | null = null
  readonly #accepted: boolean
  readonly #onClosed: (side: TunnelSide, error: Error | null) => void

  /**
   * @param from an accepted connection, or where to connect to. An accepted one is not read before `joinTo`.
   * @param onClosed called once, when the socket is gone; `error` when it broke or could not connect
   */
  constructor(from: Socket | TunnelAddress, onClosed: (side: TunnelSide, error: Error | null) => void) {
    this.#onClosed = onClosed
    this.#accepted = 'writable' in from
    if ('writable' in from) {
      this.socket = from
      // Until it is read only its end by us can happen to it, and an error of that concerns nobody.
      from.on('error', ignore)
    } else {
      this.socket = createConnection({ ...from, allowHalfOpen: true, noDelay: true, onread: onreadFor(this) })
      listen(this.socket, this)
    }
    this.writer = new ByteWriter(this.socket)
  }

  /** From now on what is read goes to `other`. */
  joinTo(other: TunnelSide): void {
    this.#other = other
    // Told at once of a FIN that came while the endpoint was being connected.
    if (this.#accepted) readFrom(this.socket, this)
  }

  onBytes(buf: Buffer, start: number, end: number): void {
    const other = this.#other
    if (other === null) {
      // Rather no connection than one with bytes missing.
      this.socket.destroy()
      return
    }
    this.received += end - start
    other.writer.bytes(buf, start, end)
    if (!other.writer.flush()) this.socket.pause()
  }

  onDrain(): void {
    this.#other?.socket.resume()
  }

  onEnd(): void {
    this.#other?.socket.end()
  }

  onClose(error: Error | null): void {
    this.closed = true
    this.#onClosed(this, error)
  }
}

const ignore = (): void => {}
