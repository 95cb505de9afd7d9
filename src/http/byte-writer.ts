import type { Socket } from 'node:net'
import { latin1 } from '../base/bytes.ts'

/** Strings up to this many bytes are written by Node from the stack in one call; longer output goes out as buffers. */
const JOINED_BYTES = 16 * 1024
/** Body pieces up to this size are joined with the head into one write. */
const INLINE_BYTES = 8 * 1024

const SLAB_BYTES = 64 * 1024
const SLABS_KEPT = 64
const slabs: Buffer[] = []

/**
 * Collects output of one socket so that a head and the first bytes of its body leave in one write.
 *
 * Text must be one-byte. Bytes given are copied before the call returns, so a shared read buffer may be passed.
 * `flush` at the end of each read event; nothing waits longer than that.
 */
export class ByteWriter {
  readonly socket: Socket
  #text = ''
  #corked = false

  constructor(socket: Socket) {
    this.socket = socket
  }

  text(text: string): void {
    this.#text += text
    if (this.#text.length > JOINED_BYTES) this.#spill()
  }

  bytes(buf: Buffer, start: number, end: number): void {
    const length = end - start
    if (length <= INLINE_BYTES && this.#text.length + length <= JOINED_BYTES) {
      this.#text += latin1(buf, start, end)
      return
    }
    this.#spill()
    if (!this.#corked) {
      this.#corked = true
      this.socket.cork()
    }
    if (length <= INLINE_BYTES) {
      this.socket.write(Buffer.from(buf.subarray(start, end)))
      return
    }
    for (let from = start; from < end; from += SLAB_BYTES) {
      const take = Math.min(SLAB_BYTES, end - from)
      const slab = slabs.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES)
      buf.copy(slab, 0, from, from + take)
      this.socket.write(slab.subarray(0, take), () => {
        if (slabs.length < SLABS_KEPT) slabs.push(slab)
      })
    }
  }

  /** Sends what was collected. False when the socket holds more than it should: wait for its drain. */
  flush(): boolean {
    if (this.#text !== '') {
      const text = this.#text
      this.#text = ''
      this.socket.write(text, 'latin1')
    }
    if (this.#corked) {
      this.#corked = false
      this.socket.uncork()
    }
    // A write of the high-water mark or more asks for a drain even when the kernel took all of it at once.
    return this.socket.writableLength === 0 || !this.socket.writableNeedDrain
  }

  #spill(): void {
    if (this.#text === '') return
    const text = this.#text
    this.#text = ''
    if (!this.#corked) {
      this.#corked = true
      this.socket.cork()
    }
    this.socket.write(text, 'latin1')
  }
}
