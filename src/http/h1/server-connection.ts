import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { latin1 } from '../../base/bytes.ts'
import type { ReasonCode } from '../../base/errors.ts'
import { Timed, type TimerWheel } from '../../base/timer-wheel.ts'
import { type ByteReader, readFrom } from '../byte-reader.ts'
import { ByteWriter } from '../byte-writer.ts'
import type { ClientStream, RequestSink } from '../client-stream.ts'
import type { HeadLimits } from '../limits.ts'
import { CHUNKED, RequestHead } from '../message.ts'
import { STATUS_CODES } from '../status-codes.ts'
import { CHUNK_DATA, CHUNK_DONE, CHUNK_INVALID, CHUNK_MORE, ChunkDecoder } from './chunk-decoder.ts'
import { parseRequestHead } from './parse-request.ts'

/** What a listener gives its connections; its fields are replaced by a reload, the object stays. */
export interface ConnectionSettings {
  limits: HeadLimits
  timeouts: { headMs: number; bodyMs: number; idleMs: number }
  /** Keep-alive ends with the next response: the listener drains. */
  closing: boolean
}

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

/** Heads are lent to connections that have a request under way; idle ones hold none. */
const heads: RequestHead[] = []
const NO_HEAD = new RequestHead()

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
  readonly #out: ByteWriter
  #state = HEAD
  #sink: RequestSink | null = null
  #pending: Buffer | null = null
  #decoder: ChunkDecoder | null = null
  #bodyLeft = 0
  #bodyRead = 0
  #flowing = false
  #paused = false
  reading = false
  #skipping = false
  #ended = false
  #headBegun = false
  #keepAlive = true
  #chunkedOut = false
  #lengthOut = 0
  #lingered = 0
  #requests = 0
  #progress = 0

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
    this.#out = new ByteWriter(this.socket)
    // The first head is awaited as strictly as one that has begun: an idle newcomer is a slow client.
    wheel.arm(this, wheel.touch() + settings.timeouts.headMs)
  }

  // --- reading

  onBytes(buf: Buffer, start: number, end: number): void {
    this.#wheel.touch()
    if (this.#pending !== null) {
      const held = this.#pending
      this.#pending = null
      const fresh = buf.subarray(start, end)
      const joined = Buffer.concat([held, fresh])
      // A head that grows byte by byte is not read again before another line ends.
      if (this.#state === HEAD && joined.length <= this.settings.limits.headBytes && !fresh.includes(0x0a)) {
        this.#pending = joined
        return
      }
      this.#consume(joined, 0, joined.length)
      return
    }
    this.#consume(buf, start, end)
  }

  onEnd(): void {
    this.#ended = true
    if (this.#state === TUNNEL) this.#sink?.onBodyEnd('')
    else if (this.#state === BODY && !this.#skipping) {
      if (this.#pending === null) this.#bodyFailed('client-gone')
    } else if (this.#state !== RESPONDING) this.#finish()
  }

  onDrain(): void {
    if (this.#state === HEAD && this.#paused) {
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
    this.#pending = null
    sink?.onGone('client-gone')
    this.#releaseHead()
    this.#handler.onClosed(this)
  }

  override onDeadline(nowMs: number): void {
    switch (this.#state) {
      case HEAD:
        if (this.#paused) {
          // It takes none of the answers it has: what it asked beyond them is not looked at.
          if (this.#isStuck()) this.#cutStuck()
          else this.#wheel.arm(this, nowMs + this.settings.timeouts.bodyMs)
        } else if (this.#pending === null && this.#requests > 0) this.#finish()
        else if (this.#pending === null) this.close()
        else {
          this.#describe(this.#pending, 0, this.#pending.length)
          this.#refuse('head-timeout')
        }
        return
      case BODY:
        if (!this.#flowing) {
          // The endpoint takes no more; unless that is because this client takes nothing, it is the endpoint's time.
          if (this.#isStuck()) this.#cutStuck()
          else this.#wheel.arm(this, nowMs + this.settings.timeouts.bodyMs)
        } else if (this.#skipping) this.close()
        else this.#bodyFailed('body-timeout')
        return
      case RESPONDING:
        // The endpoint's time is bounded on its own side; here only a client that takes nothing is.
        if (this.#isStuck()) this.#cutStuck()
        else this.#wheel.arm(this, nowMs + this.settings.timeouts.bodyMs)
        return
      case LINGERING:
        // A slow reader still gets the end of its answer; FIN behind half an answer would pass for the end.
        if (this.socket.writableLength === 0) this.socket.destroy()
        else if (this.#isStuck()) reset(this.socket)
        else this.#wheel.arm(this, nowMs + this.settings.timeouts.bodyMs)
    }
  }

  /** Whether the client took no byte of what waits for it since this was asked last. */
  #isStuck(): boolean {
    const sent = this.socket.bytesWritten - this.socket.writableLength
    const stuck = this.socket.writableLength > 0 && sent === this.#progress
    this.#progress = sent
    return stuck
  }

  #cutStuck(): void {
    const sink = this.#sink
    this.#sink = null
    sink?.onGone('client-too-slow')
    reset(this.socket)
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
    reset(this.socket)
  }

  /** Closes the connection, unless something is under way. */
  closeIdle(): void {
    if (this.#state === HEAD && this.#pending === null) this.#finish()
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
    if (this.#ended && this.#state === HEAD && !this.#paused) this.#finish()
  }

  /** Keeps bytes for later; a client that sends far ahead is not read on. */
  #hold(buf: Buffer, from: number, end: number): void {
    this.#pending = Buffer.from(buf.subarray(from, end))
    if (this.#pending.length >= PIPELINE_BYTES || this.#state === BODY) this.#pause()
  }

  /** A client that asks on and does not take its answers would fill the memory with them. */
  #holdBack(buf: Buffer, from: number, end: number): void {
    this.#hold(buf, from, end)
    this.#pause()
    this.#headBegun = false
    this.#progress = -1
    this.#wheel.arm(this, this.#wheel.now() + this.settings.timeouts.bodyMs)
  }

  #readHead(buf: Buffer, from: number, end: number): number {
    if (this.head === NO_HEAD) {
      this.head = heads.pop() ?? new RequestHead()
      this.#handler.onIdle(this, false)
    }
    const result = parseRequestHead(buf, from, end, this.head, this.settings.limits)
    if (result === null) {
      // From its first byte on a head has `head` time in all.
      if (this.#requests > 0 && !this.#headBegun) {
        this.#wheel.arm(this, this.#wheel.now() + this.settings.timeouts.headMs)
      }
      this.#headBegun = true
      this.#pending = Buffer.from(buf.subarray(from, end))
      return end
    }
    if (typeof result === 'string') {
      this.#describe(buf, from, end)
      this.#refuse(result)
      return end
    }
    this.#begin()
    return result
  }

  /** What can be told for the log of a request that could not be read. */
  #describe(buf: Buffer, from: number, end: number): void {
    const { head } = this
    const line = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e\x80-\xff]{1,2048})/.exec(
      latin1(buf, from, Math.min(end, from + 2100)),
    )
    head.method = line?.[1] ?? ''
    head.target = line?.[2] ?? ''
    head.host = ''
    head.minor = 1
    head.bodyLength = 0
    head.fields.reset('')
  }

  #begin(): void {
    const head = this.head
    this.#headBegun = false
    this.#requests++
    this.responseStarted = false
    this.#skipping = false
    this.#flowing = false
    this.#keepAlive = head.keepAlive
    this.#bodyRead = 0
    if (head.bodyLength === 0) {
      this.requestDone = true
      this.#state = RESPONDING
    } else {
      this.requestDone = false
      this.#state = BODY
      this.#bodyLeft = head.bodyLength
      if (head.bodyLength > this.settings.limits.bodyBytes) {
        this.#refuse('body-too-large')
        return
      }
      if (head.bodyLength === CHUNKED) {
        this.#decoder ??= new ChunkDecoder()
        this.#decoder.reset()
      }
    }
    this.#progress = -1
    this.#wheel.arm(this, this.#wheel.now() + this.settings.timeouts.bodyMs)
    this.#handler.onRequest(this)
  }

  #readBody(buf: Buffer, from: number, end: number): number {
    this.#wheel.arm(this, this.#wheel.now() + this.settings.timeouts.bodyMs)
    if (this.#bodyLeft !== CHUNKED) {
      const take = Math.min(this.#bodyLeft, end - from)
      this.#bodyLeft -= take
      this.#data(buf, from, from + take)
      if (this.#bodyLeft === 0 && this.#state === BODY) this.#bodyEnd('')
      return from + take
    }
    const decoder = this.#decoder as ChunkDecoder
    let p = from
    while (this.#state === BODY) {
      const found = decoder.next(buf, p, end)
      p = decoder.position
      if (found === CHUNK_MORE) return end
      if (found === CHUNK_DATA) {
        if (this.#bodyRead + (decoder.dataEnd - decoder.dataStart) > this.settings.limits.bodyBytes) {
          this.#bodyFailed('body-too-large')
          return end
        }
        this.#data(buf, decoder.dataStart, decoder.dataEnd)
        if (!this.#flowing) return p
      } else if (found === CHUNK_DONE) {
        this.#bodyEnd(decoder.trailers)
        return p
      } else {
        this.#bodyFailed(found === CHUNK_INVALID ? 'chunk-invalid' : 'trailer-invalid')
        return end
      }
    }
    return p
  }

  #data(buf: Buffer, start: number, end: number): void {
    this.#bodyRead += end - start
    if (!this.#skipping) this.#sink?.onBody(buf, start, end)
    else if (this.#bodyRead > SKIP_BYTES) this.#linger()
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
    this.#pending = null
    this.#keepAlive = false
    this.#handler.onRefusal(this, code)
  }

  // --- the request body, by the one who takes it

  setSink(sink: RequestSink): void {
    this.#sink = sink
  }

  pauseBody(): void {
    this.#flowing = false
    this.#pause()
  }

  resumeBody(): void {
    if (this.#flowing) return
    this.#flowing = true
    this.#unpause()
    this.#replay()
    // A half-closed client may have sent all it had before anybody took it.
    if (this.#ended && this.#state === BODY && !this.#skipping && this.#pending === null)
      this.#bodyFailed('client-gone')
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.socket.pause()
  }

  #unpause(): void {
    if (!this.#paused) return
    this.#paused = false
    this.socket.resume()
  }

  #replay(): void {
    if (this.reading || this.#pending === null) return
    const held = this.#pending
    this.#pending = null
    this.#consume(held, 0, held.length)
  }

  // --- writing

  sendInterim(status: number, fields: string): void {
    if (this.head.minor === 0 || this.responseStarted) return
    this.#out.text(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Interim'}\r\n${fields}\r\n`)
    this.#out.flush()
  }

  sendHead(status: number, reason: string, fields: string, length: number, bodyless: boolean): void {
    this.responseStarted = true
    const http10 = this.head.minor === 0
    this.#chunkedOut = false
    let framing = ''
    if (length >= 0) {
      framing = `Content-Length: ${length}\r\n`
    } else if (!bodyless) {
      if (http10) this.#keepAlive = false
      else {
        this.#chunkedOut = true
        framing = 'Transfer-Encoding: chunked\r\n'
      }
    }
    this.#lengthOut = length
    // A body that is not wanted any more cannot be told from the next request.
    if (this.settings.closing || (!this.requestDone && !this.#canSkip())) this.#keepAlive = false
    if (!this.#keepAlive) framing += 'Connection: close\r\n'
    else if (http10) framing += 'Connection: keep-alive\r\n'
    this.#out.text(`HTTP/1.1 ${status} ${reason}\r\n${fields}${framing}\r\n`)
  }

  sendBody(buf: Buffer, start: number, end: number): void {
    if (this.#chunkedOut) {
      this.#out.text(`${(end - start).toString(16)}\r\n`)
      this.#out.bytes(buf, start, end)
      this.#out.text('\r\n')
    } else {
      this.#out.bytes(buf, start, end)
    }
  }

  /** Sends one-byte text as body. */
  sendText(text: string): void {
    if (text === '') return
    this.#out.text(this.#chunkedOut ? `${text.length.toString(16)}\r\n${text}\r\n` : text)
  }

  sendEnd(trailers: string): void {
    if (this.#chunkedOut) this.#out.text(`0\r\n${trailers}\r\n`)
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
      this.#bodyRead = 0
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
    this.#out.text(`HTTP/1.1 101 Switching Protocols\r\n${fields}Connection: Upgrade\r\n\r\n`)
    this.#out.flush()
    this.#state = TUNNEL
    this.#keepAlive = false
    this.#chunkedOut = false
    this.#flowing = true
    this.#wheel.remove(this)
    this.#unpause()
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
    if (this.#lengthOut < 0 && !this.#chunkedOut) reset(this.socket)
    else this.socket.destroy()
  }

  /** Whether the rest of the request body is known to come soon and to be short. */
  #canSkip(): boolean {
    return !this.#ended && !this.head.expectContinue && this.#bodyLeft !== CHUNKED && this.#bodyLeft <= SKIP_BYTES
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
    if (this.#ended && this.#pending === null) {
      this.#finish()
      return
    }
    this.#unpause()
    this.#replay()
  }

  /** Sends what is left, says FIN, and reads over what still comes for a while. */
  #linger(): void {
    if (this.#state === CLOSED) return
    this.#state = LINGERING
    this.#sink = null
    this.#pending = null
    this.#releaseHead()
    this.#out.flush()
    this.socket.end()
    this.#progress = -1
    this.#wheel.arm(this, this.#wheel.now() + LINGER_MS)
    this.#unpause()
  }

  /** Nothing more will come or go. */
  #finish(): void {
    if (this.#state === CLOSED) return
    this.#linger()
  }

  #releaseHead(): void {
    if (this.head === NO_HEAD) return
    if (heads.length < 1024) heads.push(this.head)
    this.head = NO_HEAD
  }
}

/** Ends a connection so that the client cannot take what it got for whole. Only TCP has a reset; TLS ends without close_notify. */
function reset(socket: Socket): void {
  // Nor after `end`: libuv refuses a reset while the FIN waits, and Node then leaks the handle and cannot end its thread.
  if (socket.writableEnded || socket instanceof TLSSocket || socket.remoteAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}
