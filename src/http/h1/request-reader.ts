import type { Socket } from 'node:net'
import type { ReasonCode } from '../../base/errors.ts'
import type { RequestSink } from '../client-stream.ts'
import { CHUNKED, type RequestHead } from '../message.ts'
import type { ClientDeadline } from './client-deadline.ts'
import type { ConnectionSettings } from './connection-settings.ts'
import { describeRequest } from './describe-request.ts'
import { borrowHead, NO_HEAD, returnHead } from './head-pool.ts'
import { InputGate } from './input-gate.ts'
import { parseRequestHead } from './parse-request.ts'
import { BODY, HEAD, RESPONDING, TUNNEL } from './read-phase.ts'
import { BODY_DATA, BODY_DONE, BODY_MORE, RequestBody } from './request-body.ts'

/** Told by a reader what it came upon. Bodies go to the sink. */
export interface RequestReaderOwner {
  /** The first bytes of a head are there. */
  onHeadBegun(): void
  /** A head was read; its body, if it has one, waits for `resume`. */
  onHead(): void
  /** No request can be read any more; `head` may hold part of one. */
  onUnreadable(code: ReasonCode): void
  /** The rest of an answered request was read over. */
  onSkipped(): void
  /** No further request will be read, and nobody is left to be told. */
  onReadingOver(): void
  /** All bytes at hand were read, and the sink was told so. */
  onAllRead(): void
}

/** Pipelined bytes held while a response is under way; beyond that the client has to wait. */
const PIPELINE_BYTES = 64 * 1024
/** A lingering connection ends when this many bytes were thrown away. */
const LINGER_BYTES = 16 * 1024 * 1024
/** A request body left unread is read over up to here to keep the connection; a longer one closes it. */
const SKIP_BYTES = 256 * 1024

/** Reads the requests of one connection out of its bytes, in order; bytes whose turn has not come are held (RFC 9112 9.3). */
export class RequestReader {
  /** One of the phases of `read-phase.ts`. */
  phase: number = HEAD
  head: RequestHead = NO_HEAD
  /** True once the request has been read whole. */
  requestDone = false
  /** Another request may be read after this one. */
  keepAlive = true
  /** Who gets the body of the request, and all bytes of a tunnel. */
  sink: RequestSink | null = null
  /** True while bytes are being read. */
  reading = false
  /** The body is wanted. */
  flowing = false
  /** The rest of the body is read for nobody. */
  skipping = false
  /** The client has said FIN. */
  ended = false
  /** Heads that were read. */
  requests = 0
  readonly input: InputGate

  readonly #owner: RequestReaderOwner
  readonly #socket: Socket
  readonly #settings: ConnectionSettings
  readonly #deadline: ClientDeadline
  /** Made with the first request that has a body. */
  #body: RequestBody | null = null
  #headBegun = false
  #skipped = 0
  #lingered = 0

  constructor(owner: RequestReaderOwner, socket: Socket, settings: ConnectionSettings, deadline: ClientDeadline) {
    this.input = new InputGate(socket)
    this.#owner = owner
    this.#socket = socket
    this.#settings = settings
    this.#deadline = deadline
  }

  /** Reads what came from the client, behind what is held. */
  read(buf: Buffer, start: number, end: number): void {
    if (!this.input.holds) {
      this.#consume(buf, start, end)
      return
    }
    const fresh = buf.subarray(start, end)
    const joined = this.input.append(fresh)
    // A head that grows byte by byte is not read again before another line ends.
    if (this.phase === HEAD && joined.length <= this.#settings.limits.headBytes && !fresh.includes(0x0a)) return
    this.input.take()
    this.#consume(joined, 0, joined.length)
  }

  /** The client will send no more. */
  end(): void {
    this.ended = true
    if (this.phase === TUNNEL) this.sink?.onBodyEnd('')
    else if (this.phase === BODY && !this.skipping) {
      if (!this.input.holds) this.failBody('client-gone')
    } else if (this.phase !== RESPONDING) this.#owner.onReadingOver()
  }

  /** Holds the body back. */
  pause(): void {
    this.flowing = false
    this.input.pause()
  }

  /** Gives the body to the sink. */
  resume(): void {
    if (this.flowing) return
    this.flowing = true
    this.input.resume()
    this.#replay()
    // A half-closed client may have sent all it had before anybody took it.
    if (this.ended && this.phase === BODY && !this.skipping && !this.input.holds) this.failBody('client-gone')
  }

  /** Whether the rest of the request body is known to come soon and to be short. */
  canSkip(): boolean {
    const left = this.#body?.left ?? 0
    return !this.ended && !this.head.expectContinue && left !== CHUNKED && left <= SKIP_BYTES
  }

  /** Reads the rest of the body over. */
  skip(): void {
    this.skipping = true
    this.#skipped = 0
    this.resume()
  }

  /** What comes is another protocol's: all of it goes to the sink. */
  tunnel(): void {
    this.phase = TUNNEL
    this.keepAlive = false
    this.flowing = true
    this.input.resume()
    this.#replay()
    if (this.ended) this.sink?.onBodyEnd('')
  }

  /** Reads on with the next request: what is held of it first. */
  readOn(): void {
    if (this.ended && !this.input.holds) {
      this.#owner.onReadingOver()
      return
    }
    this.input.resume()
    this.#replay()
  }

  /** Refuses the head that has begun; false when none has. */
  refuseBegun(code: ReasonCode): boolean {
    const begun = this.input.take()
    if (begun === null) return false
    describeRequest(this.head, begun, 0, begun.length)
    this.#refuse(code)
    return true
  }

  /** The body cannot be read to its end. */
  failBody(code: ReasonCode): void {
    this.keepAlive = false
    if (this.skipping || this.sink === null) {
      this.#owner.onReadingOver()
      return
    }
    // The rest of the stream has no meaning any more.
    this.phase = RESPONDING
    this.requestDone = true
    this.sink.onBodyFailed(code)
  }

  /** Nobody may read the head of the request any more. */
  releaseHead(): void {
    returnHead(this.head)
    this.head = NO_HEAD
  }

  #replay(): void {
    if (this.reading) return
    const held = this.input.take()
    if (held !== null) this.#consume(held, 0, held.length)
  }

  #consume(buf: Buffer, from: number, end: number): void {
    this.reading = true
    let p = from
    while (p < end) {
      if (this.phase === HEAD) {
        if (this.#socket.writableNeedDrain) {
          this.#holdBack(buf, p, end)
          break
        }
        p = this.#readHead(buf, p, end)
      } else if (this.phase === BODY) {
        if (!this.flowing) {
          this.#hold(buf, p, end)
          break
        }
        p = this.#readBody(buf, p, end)
      } else if (this.phase === RESPONDING) {
        this.#hold(buf, p, end)
        break
      } else if (this.phase === TUNNEL) {
        this.sink?.onBody(buf, p, end)
        break
      } else {
        this.#lingered += end - p
        if (this.#lingered > LINGER_BYTES) this.#socket.destroy()
        break
      }
    }
    this.reading = false
    this.sink?.onReadDone()
    this.#owner.onAllRead()
  }

  /** Keeps bytes for later; a client that sends far ahead is not read on. */
  #hold(buf: Buffer, from: number, end: number): void {
    if (this.input.hold(buf, from, end) >= PIPELINE_BYTES || this.phase === BODY) this.input.pause()
  }

  /** A client that asks on and does not take its answers would fill the memory with them. */
  #holdBack(buf: Buffer, from: number, end: number): void {
    this.#hold(buf, from, end)
    this.input.pause()
    this.#headBegun = false
    this.#deadline.watch()
  }

  #readHead(buf: Buffer, from: number, end: number): number {
    if (this.head === NO_HEAD) {
      this.head = borrowHead()
      this.#owner.onHeadBegun()
    }
    const result = parseRequestHead(buf, from, end, this.head, this.#settings.limits)
    if (result === null) {
      // From its first byte on a head has `head` time in all.
      if (this.requests > 0 && !this.#headBegun) this.#deadline.head()
      this.#headBegun = true
      this.input.hold(buf, from, end)
      return end
    }
    if (typeof result === 'string') {
      describeRequest(this.head, buf, from, end)
      this.#refuse(result)
      return end
    }
    this.#begin(this.head)
    return result
  }

  #begin(head: RequestHead): void {
    this.#headBegun = false
    this.requests++
    this.skipping = false
    this.flowing = false
    this.keepAlive = head.keepAlive
    this.requestDone = head.bodyLength === 0
    this.phase = this.requestDone ? RESPONDING : BODY
    if (!this.requestDone) {
      if (head.bodyLength > this.#settings.limits.bodyBytes) {
        this.#refuse('body-too-large')
        return
      }
      this.#body ??= new RequestBody()
      this.#body.begin(head.bodyLength)
    }
    this.#deadline.watch()
    this.#owner.onHead()
  }

  #readBody(buf: Buffer, from: number, end: number): number {
    const body = this.#body as RequestBody
    const limitBytes = this.#settings.limits.bodyBytes
    this.#deadline.body()
    let p = from
    while (this.phase === BODY) {
      const found = body.next(buf, p, end, limitBytes)
      p = body.position
      if (found === BODY_MORE) return end
      if (found === BODY_DATA) {
        this.#data(buf, body.dataStart, body.dataEnd)
        // A sink that holds back still learns that what it took was the last.
        if (!this.flowing && body.left !== 0) return p
      } else if (found === BODY_DONE) {
        this.#bodyEnd(body.trailers)
        return p
      } else {
        this.failBody(found as ReasonCode)
        return end
      }
    }
    return p
  }

  #data(buf: Buffer, start: number, end: number): void {
    if (!this.skipping) this.sink?.onBody(buf, start, end)
    else {
      this.#skipped += end - start
      if (this.#skipped > SKIP_BYTES) this.#owner.onReadingOver()
    }
  }

  #bodyEnd(trailers: string): void {
    this.requestDone = true
    if (this.skipping) {
      this.#owner.onSkipped()
      return
    }
    this.phase = RESPONDING
    this.sink?.onBodyEnd(trailers)
  }

  #refuse(code: ReasonCode): void {
    this.phase = RESPONDING
    this.requestDone = true
    this.input.take()
    this.keepAlive = false
    this.#owner.onUnreadable(code)
  }
}
