import type { ReasonCode } from '../../base/errors.ts'
import { CHUNKED } from '../message.ts'
import { CHUNK_DATA, CHUNK_DONE, CHUNK_INVALID, CHUNK_MORE, ChunkDecoder } from './chunk-decoder.ts'

/** What `next` found. */
export const BODY_MORE = 0
export const BODY_DATA = 1
export const BODY_DONE = 2

/** Reads the bodies of a connection's requests, one after the other, whatever their framing (RFC 9112 6). */
export class RequestBody {
  /** Where the last `next` stopped. */
  position = 0
  /** The piece of data it found, in the buffer given to it. */
  dataStart = 0
  dataEnd = 0
  /** Set with BODY_DONE: field lines that may be passed on. */
  trailers = ''
  /** Bytes that are still to come, or CHUNKED. */
  left = 0
  #read = 0
  #decoder: ChunkDecoder | null = null

  /** A body of this length, or CHUNKED, begins. */
  begin(length: number): void {
    this.left = length
    this.trailers = ''
    this.#read = 0
    if (length !== CHUNKED) return
    this.#decoder ??= new ChunkDecoder()
    this.#decoder.reset()
  }

  /** Stops at the next piece of data, at the end, when the bytes run out, or at a fault: then its reason code is returned. */
  next(buf: Buffer, from: number, end: number, limitBytes: number): number | ReasonCode {
    if (this.left !== CHUNKED) return this.#counted(from, end)
    const decoder = this.#decoder as ChunkDecoder
    const found = decoder.next(buf, from, end)
    this.position = decoder.position
    if (found === CHUNK_MORE) return BODY_MORE
    if (found === CHUNK_DONE) {
      this.trailers = decoder.trailers
      this.left = 0
      return BODY_DONE
    }
    if (found !== CHUNK_DATA) return found === CHUNK_INVALID ? 'chunk-invalid' : 'trailer-invalid'
    this.dataStart = decoder.dataStart
    this.dataEnd = decoder.dataEnd
    this.#read += decoder.dataEnd - decoder.dataStart
    return this.#read + decoder.chunkLeft > limitBytes ? 'body-too-large' : BODY_DATA
  }

  #counted(from: number, end: number): number {
    if (this.left === 0) {
      this.position = from
      return BODY_DONE
    }
    const take = Math.min(this.left, end - from)
    this.position = from + take
    if (take === 0) return BODY_MORE
    this.dataStart = from
    this.dataEnd = from + take
    this.left -= take
    return BODY_DATA
  }
}
