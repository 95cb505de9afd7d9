import type { Socket } from 'node:net'
import type { ReasonCode } from '../../base/errors.ts'
import { Timed, type TimerWheel } from '../../base/timer-wheel.ts'
import { type ByteReader, readFrom } from '../byte-reader.ts'
import type { ClientStream, RequestSink } from '../client-stream.ts'
import { CHUNKED, type RequestHead } from '../message.ts'
import { resetSocket } from '../reset-socket.ts'
import type { ConnectionSettings } from './connection-settings.ts'
import { describeRequest } from './describe-request.ts'
import { borrowHead, NO_HEAD, returnHead } from './head-pool.ts'
import { InputGate } from './input-gate.ts'
import { parseRequestHead } from './parse-request.ts'
import { BODY_DATA, BODY_DONE, BODY_MORE, RequestBody } from './request-body.ts'
import { ResponseWriter } from './response-writer.ts'
import { StuckWatch } from './stuck-watch.ts'

/** Who handles what a connection reads. */
export interface RequestHandler {
  /** A request head was read; exactly one final response must be sent through the connection. */
  onRequest(connection: ServerConnection): void
  /** No request can be read any more. Answer with `refuse`; `head` may hold part of the request. */
  onRefusal(connection: ServerConnection, code: ReasonCode): void
  /** Nothing is under way (true), or something is. */
  onIdle(connection: ServerConnection, idle: boolean): void
  onClosed(connection: ServerConnection): void
}

const HEAD = 0
const BODY = 1
/** The request was read; its response is under way. */
const RESPONDING = 2
const TUNNEL = 3
/** The last response was sent; what still comes is thrown away, so that a reset does not destroy the response. */
const LINGERING = 4
const CLOSED = 5

/** Pipelined bytes held while a response is under way; beyond that the client has to wait. */
const PIPELINE_BYTES = 64 * 1024
/** A lingering connection ends after this, or when this many bytes were thrown away. */
const LINGER_MS = 2000
const LINGER_BYTES = 16 * 1024 * 1024
/** A request body left unread is read over up to here to keep the connection; a longer one closes it. */
const SKIP_BYTES = 256 * 1024

/** One HTTP/1.x connection from a client: reads requests in order, writes their responses in order (RFC 9112 9.3). */
export class ServerConnection extends Timed implements ByteReader, ClientStream {
  readonly socket: Socket
  readonly settings: ConnectionSettings
  /** For the handler: what belongs to this connection. */
  readonly owner: unknown
  head: RequestHead = NO_HEAD
  requestDone = false
  responseStarted = false
  /** For the handler: one reference to what it needs per connection (a place in an idle list). */
  entry: unknown = null

  readonly #handler: RequestHandler
  readonly #wheel: TimerWheel
  readonly #out: ResponseWriter
  readonly #in: InputGate
  readonly #watch = new StuckWatch()
  #state = HEAD
  #sink: RequestSink | null = null
  /** Made with the first request that has a body. */
  #body: RequestBody | null = null
  #skipped = 0
  #flowing = false
  reading = false
  #skipping = false
  #ended = false
  #headBegun = false
  #keepAlive = true
  #lingered = 0
  #requests = 0

  constructor(
    socket: Socket,
    settings: ConnectionSettings,
    handler: RequestHandler,
    wheel: TimerWheel,
    owner: unknown,
  ) {
    super()
    this.settings = settings
    this.owner = owner
    this.#handler = handler
    this.#wheel = wheel
    this.socket = socket
    readFrom(socket, this)
    this.#out = new ResponseWriter(socket)
    this.#in = new InputGate(socket)
    // The first head is awaited as strictly as one that has begun: an idle newcomer is a slow client.
    wheel.arm(this, wheel.touch() + settings.timeouts.headMs)
  }

  // --- reading

  onBytes(buf: Buffer, start: number, end: number): void {
    this.#wheel.touch()
    if (!this.#in.holds) {
      this.#consume(buf, start, end)
      return
    }
    const fresh = buf.subarray(start, end)
    const joined = this.#in.append(fresh)
    // A head that grows byte by byte is not read again before another line ends.
    if (this.#state === HEAD && joined.length <= this.settings.limits.headBytes && !fresh.includes(0x0a)) return
    this.#in.take()
    this.#consume(joined, 0, joined.length)
  }

  onEnd(): void {
    this.#ended = true
    if (this.#state === TUNNEL) this.#sink?.onBodyEnd('')
    else if (this.#state === BODY && !this.#skipping) {
      if (!this.#in.holds) this.#bodyFailed('client-gone')
    } else if (this.#state !== RESPONDING) this.#linger()
  }

  onDrain(): void {
    if (this.#state === HEAD && this.#in.paused) {
      this.#wheel.arm(this, this.#wheel.now() + this.settings.timeouts.idleMs)
      this.#readOn()
    } else this.#sink?.onDrain()
  }

  onClose(): void {
    if (this.#state === CLOSED) return
    this.#state = CLOSED
    this.#wheel.remove(this)
    const sink = this.#sink
    this.#sink = null
    this.#in.take()
    sink?.onGone('client-gone')
    this.#releaseHead()
    this.#handler.onClosed(this)
  }

  override onDeadline(nowMs: number): void {
    switch (this.#state) {
      case HEAD:
        if (this.#in.paused) {
          // It takes none of the answers it has: what it asked beyond them is not looked at.
          if (this.#watch.isStuck(this.socket)) this.#cutStuck()
          else this.#wheel.arm(this, nowMs + this.settings.timeouts.bodyMs)
        } else this.#headLate()
        return
      case BODY:
        if (!this.#flowing) {
          // The endpoint takes no more; unless that is because this client takes nothing, it is the endpoint's time.
          if (this.#watch.isStuck(this.socket)) this.#cutStuck()
          else this.#wheel.arm(this, nowMs + this.settings.timeouts.bodyMs)
        } else if (this.#skipping) this.close()
        else this.#bodyFailed('body-timeout')
        return
      case RESPONDING:
        // The endpoint's time is bounded on its own side; here only a client that takes nothing is.
        if (this.#watch.isStuck(this.socket)) this.#cutStuck()
        else this.#wheel.arm(this, nowMs + this.settings.timeouts.bodyMs)
        return
      case LINGERING:
        // A slow reader still gets the end of its answer; FIN behind half an answer would pass for the end.
        if (this.socket.writableLength === 0) this.socket.destroy()
        else if (this.#watch.isStuck(this.socket)) resetSocket(this.socket)
        else this.#wheel.arm(this, nowMs + this.settings.timeouts.bodyMs)
    }
  }

  #headLate(): void {
    const begun = this.#in.take()
    if (begun !== null) {
      describeRequest(this.head, begun, 0, begun.length)
      this.#refuse('head-timeout')
    } else if (this.#requests > 0) this.#linger()
    else this.close()
  }

  #cutStuck(): void {
    const sink = this.#sink
    this.#sink = null
    sink?.onGone('client-too-slow')
    resetSocket(this.socket)
  }

  /** Closes an idle connection, or one that has sent no byte of a request. */
  close(): void {
    if (this.#state !== CLOSED) this.socket.destroy()
  }

  /** Breaks the connection off, whatever is under way: an exchange that runs ends with this code. */
  cut(code: ReasonCode): void {
    if (this.#state === CLOSED) return
    const sink = this.#sink
    this.#sink = null
    sink?.onGone(code)
    resetSocket(this.socket)
  }

  /** Closes the connection, unless something is under way. */
  closeIdle(): void {
    if (this.#state === HEAD && !this.#in.holds) this.#linger()
  }

  #consume(buf: Buffer, from: number, end: number): void {
    this.reading = true
    let p = from
    while (p < end) {
      if (this.#state === HEAD) {
        if (this.socket.writableNeedDrain) {
          this.#holdBack(buf, p, end)
          break
        }
        p = this.#readHead(buf, p, end)
      } else if (this.#state === BODY) {
        if (!this.#flowing) {
          this.#hold(buf, p, end)
          break
        }
        p = this.#readBody(buf, p, end)
      } else if (this.#state === RESPONDING) {
        this.#hold(buf, p, end)
        break
      } else if (this.#state === TUNNEL) {
        this.#sink?.onBody(buf, p, end)
        break
      } else {
        this.#lingered += end - p
        if (this.#lingered > LINGER_BYTES) this.socket.destroy()
        break
      }
    }
    this.reading = false
    this.#sink?.onReadDone()
    this.#out.flush()
    // Half a head that ends with FIN will never be whole.
    if (this.#ended && this.#state === HEAD && !this.#in.paused) this.#linger()
  }

  /** Keeps bytes for later; a client that sends far ahead is not read on. */
  #hold(buf: Buffer, from: number, end: number): void {
    if (this.#in.hold(buf, from, end) >= PIPELINE_BYTES || this.#state === BODY) this.#in.pause()
  }

  /** A client that asks on and does not take its answers would fill the memory with them. */
  #holdBack(buf: Buffer, from: number, end: number): void {
    this.#hold(buf, from, end)
    this.#in.pause()
    this.#headBegun = false
    this.#watch.reset()
    this.#wheel.arm(this, this.#wheel.now() + this.settings.timeouts.bodyMs)
  }

  #readHead(buf: Buffer, from: number, end: number): number {
    if (this.head === NO_HEAD) {
      this.head = borrowHead()
      this.#handler.onIdle(this, false)
    }
    const result = parseRequestHead(buf, from, end, this.head, this.settings.limits)
    if (result === null) {
      // From its first byte on a head has `head` time in all.
      if (this.#requests > 0 && !this.#headBegun) {
        this.#wheel.arm(this, this.#wheel.now() + this.settings.timeouts.headMs)
      }
      this.#headBegun = true
      this.#in.hold(buf, from, end)
      return end
    }
    if (typeof result === 'string') {
      describeRequest(this.head, buf, from, end)
      this.#refuse(result)
      return end
    }
    this.#begin()
    return result
  }

  #begin(): void {
    const head = this.head
    this.#headBegun = false
    this.#requests++
    this.responseStarted = false
    this.#skipping = false
    this.#flowing = false
    this.#keepAlive = head.keepAlive
    this.requestDone = head.bodyLength === 0
    this.#state = this.requestDone ? RESPONDING : BODY
    if (!this.requestDone) {
      if (head.bodyLength > this.settings.limits.bodyBytes) {
        this.#refuse('body-too-large')
        return
      }
      this.#body ??= new RequestBody()
      this.#body.begin(head.bodyLength)
    }
    this.#watch.reset()
    this.#wheel.arm(this, this.#wheel.now() + this.settings.timeouts.bodyMs)
    this.#handler.onRequest(this)
  }

  #readBody(buf: Buffer, from: number, end: number): number {
    const body = this.#body as RequestBody
    const limitBytes = this.settings.limits.bodyBytes
    this.#wheel.arm(this, this.#wheel.now() + this.settings.timeouts.bodyMs)
    let p = from
    while (this.#state === BODY) {
      const found = body.next(buf, p, end, limitBytes)
      p = body.position
      if (found === BODY_MORE) return end
      if (found === BODY_DATA) {
        this.#data(buf, body.dataStart, body.dataEnd)
        // A sink that holds back still learns that what it took was the last.
        if (!this.#flowing && body.left !== 0) return p
      } else if (found === BODY_DONE) {
        this.#bodyEnd(body.trailers)
        return p
      } else {
        this.#bodyFailed(found as ReasonCode)
        return end
      }
    }
    return p
  }

  #data(buf: Buffer, start: number, end: number): void {
    if (!this.#skipping) this.#sink?.onBody(buf, start, end)
    else {
      this.#skipped += end - start
      if (this.#skipped > SKIP_BYTES) this.#linger()
    }
  }

  #bodyEnd(trailers: string): void {
    this.requestDone = true
    if (this.#skipping) {
      this.#next()
      return
    }
    this.#state = RESPONDING
    this.#sink?.onBodyEnd(trailers)
  }

  #bodyFailed(code: ReasonCode): void {
    this.#keepAlive = false
    if (this.#skipping || this.#sink === null) {
      this.#linger()
      return
    }
    // The rest of the stream has no meaning any more.
    this.#state = RESPONDING
    this.requestDone = true
    this.#sink.onBodyFailed(code)
  }

  #refuse(code: ReasonCode): void {
    this.#state = RESPONDING
    this.requestDone = true
    this.#in.take()
    this.#keepAlive = false
    this.#handler.onRefusal(this, code)
  }

  // --- the request body, by the one who takes it

  setSink(sink: RequestSink): void {
    this.#sink = sink
  }

  pauseBody(): void {
    this.#flowing = false
    this.#in.pause()
  }

  resumeBody(): void {
    if (this.#flowing) return
    this.#flowing = true
    this.#in.resume()
    this.#replay()
    // A half-closed client may have sent all it had before anybody took it.
    if (this.#ended && this.#state === BODY && !this.#skipping && !this.#in.holds) this.#bodyFailed('client-gone')
  }

  #replay(): void {
    if (this.reading) return
    const held = this.#in.take()
    if (held !== null) this.#consume(held, 0, held.length)
  }

  // --- writing

  sendInterim(status: number, fields: string): void {
    if (this.head.minor === 1 && !this.responseStarted) this.#out.interim(status, fields)
  }

  sendHead(status: number, reason: string, fields: string, length: number, bodyless: boolean): void {
    this.responseStarted = true
    // A body that is not wanted any more cannot be told from the next request.
    if (this.settings.closing || (!this.requestDone && !this.#canSkip())) this.#keepAlive = false
    const http10 = this.head.minor === 0
    this.#keepAlive = this.#out.head(status, reason, fields, length, bodyless, http10, this.#keepAlive)
  }

  sendBody(buf: Buffer, start: number, end: number): void {
    this.#out.body(buf, start, end)
  }

  sendEnd(trailers: string): void {
    this.#out.end(trailers)
    this.#sink = null
    if (!this.#keepAlive) {
      this.#linger()
      return
    }
    if (!this.requestDone) {
      // The answer came before the whole request: read the rest over, if it is short.
      if (!this.#canSkip()) {
        this.#linger()
        return
      }
      this.#skipping = true
      this.#skipped = 0
      this.#out.flush()
      this.resumeBody()
      return
    }
    this.#next()
  }

  flush(): boolean {
    return this.#out.flush()
  }

  startTunnel(fields: string): void {
    this.responseStarted = true
    this.#out.switching(fields)
    this.#state = TUNNEL
    this.#keepAlive = false
    this.#flowing = true
    this.#wheel.remove(this)
    this.#in.resume()
    this.#replay()
    if (this.#ended) this.#sink?.onBodyEnd('')
  }

  endTunnel(): void {
    this.#out.flush()
    this.socket.end()
  }

  abort(): void {
    this.#sink = null
    if (this.#state === CLOSED) return
    this.#out.flush()
    // A close-delimited body ends with FIN: only a reset tells that it is not whole.
    if (this.#out.endsWithConnection) resetSocket(this.socket)
    else this.socket.destroy()
  }

  /** Whether the rest of the request body is known to come soon and to be short. */
  #canSkip(): boolean {
    const left = this.#body?.left ?? 0
    return !this.#ended && !this.head.expectContinue && left !== CHUNKED && left <= SKIP_BYTES
  }

  /** The exchange is over: on to the next request. */
  #next(): void {
    this.#state = HEAD
    this.#releaseHead()
    this.#wheel.arm(this, this.#wheel.now() + this.settings.timeouts.idleMs)
    this.#handler.onIdle(this, true)
    if (this.reading) return
    this.#out.flush()
    this.#readOn()
  }

  /** Reads on with the next request: what is held of it first. */
  #readOn(): void {
    if (this.#ended && !this.#in.holds) {
      this.#linger()
      return
    }
    this.#in.resume()
    this.#replay()
  }

  /** Sends what is left, says FIN, and reads over what still comes for a while. */
  #linger(): void {
    if (this.#state === CLOSED) return
    this.#state = LINGERING
    this.#sink = null
    this.#in.take()
    this.#releaseHead()
    this.#out.flush()
    this.socket.end()
    this.#watch.reset()
    this.#wheel.arm(this, this.#wheel.now() + LINGER_MS)
    this.#in.resume()
  }

  #releaseHead(): void {
    returnHead(this.head)
    this.head = NO_HEAD
  }
}
