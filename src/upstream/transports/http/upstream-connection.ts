import type { Socket } from 'node:net'
import { Timed, type TimerWheel } from '../../../base/timer-wheel.ts'
import type { ByteReader } from '../../../http/byte-reader.ts'
import { ByteWriter } from '../../../http/byte-writer.ts'
import { CHUNK_DATA, CHUNK_DONE, CHUNK_MORE, ChunkDecoder } from '../../../http/h1/chunk-decoder.ts'
import { INCOMPLETE } from '../../../http/h1/parse-fields.ts'
import { parseResponseHead, RESPONSE_INVALID } from '../../../http/h1/parse-response.ts'
import { CHUNKED, ResponseHead, UNTIL_CLOSE } from '../../../http/message.ts'

/**
 * How an attempt broke. The first three mean that the endpoint has seen nothing of the request. `tls-late`: TLS broke after our
 * end of the handshake, as when a TLS 1.3 endpoint refuses the certificate that it was shown.
 */
export type UpstreamFailure =
  | 'connect'
  | 'connect-timeout'
  | 'tls'
  | 'tls-late'
  | 'reset'
  | 'response-timeout'
  | 'body-timeout'
  | 'invalid'

/** Takes one response. */
export interface ResponseSink {
  /** The connection is open: the request may be written. */
  onConnected(): void
  /** A head was read, interim ones too. `head` is valid during the call only. */
  onResponseHead(head: ResponseHead): void
  onResponseBody(buf: Buffer, start: number, end: number): void
  onResponseEnd(trailers: string): void
  /** All bytes at hand were given. */
  onUpstreamReadDone(): void
  onUpstreamDrain(): void
  /** The attempt is over. Not called after `onResponseEnd`. */
  onUpstreamFailed(failure: UpstreamFailure): void
}

/** Who keeps idle connections. */
export interface IdleKeeper {
  /** The connection can no longer be used. */
  forget(connection: UpstreamConnection): void
}

export interface UpstreamTimeouts {
  readonly connectMs: number
  /** From the last request byte to the response head. */
  readonly responseMs: number
  /** Between two bytes of a body, and for an unused connection. */
  readonly idleMs: number
}

const CONNECTING = 0
const IDLE = 1
const HEAD = 2
const BODY = 3
const TUNNEL = 4
const CLOSED = 5

/** Heads are used only while they are being read, so one serves the thread. */
const sharedHead = new ResponseHead()

/** One HTTP/1.1 connection to an endpoint: one request and its response at a time, no pipelining. */
export class UpstreamConnection extends Timed implements ByteReader {
  /** True when an earlier request was answered on this connection. */
  reused = false
  /** True once a byte of the current response arrived. */
  answered = false
  readonly #keeper: IdleKeeper
  readonly #wheel: TimerWheel
  readonly #timeouts: UpstreamTimeouts
  #socket: Socket | null = null
  #out: ByteWriter | null = null
  #state = CONNECTING
  #sink: ResponseSink | null = null
  #pending: Buffer | null = null
  #decoder: ChunkDecoder | null = null
  #bodyLeft = 0
  #noBody = false
  #keepAlive = false
  #requestSent = false
  #paused = false
  #endless = false
  #handshaking = false

  constructor(keeper: IdleKeeper, wheel: TimerWheel, timeouts: UpstreamTimeouts) {
    super()
    this.#keeper = keeper
    this.#wheel = wheel
    this.#timeouts = timeouts
    wheel.arm(this, wheel.now() + timeouts.connectMs)
  }

  // --- opening and lending

  /** Given by the dialler before the socket is connected. */
  setSocket(socket: Socket): void {
    this.#socket = socket
    this.#out = new ByteWriter(socket)
  }

  /** The socket is connected (and verified, with TLS). */
  opened(): void {
    if (this.#state !== CONNECTING) return
    this.#wheel.touch()
    this.#state = IDLE
    this.#wheel.remove(this)
    this.#sink?.onConnected()
  }

  /** TCP stands and the TLS handshake begins: what breaks now is not for want of a connection. */
  handshakeBegun(): void {
    this.#handshaking = true
  }

  /** TLS reports an error; the end of the connection follows, and would look like any other. */
  tlsFailed(error: Error): void {
    if (this.#state === HEAD && !this.answered && !this.reused && isTlsError(error)) this.#fail('tls-late')
  }

  openFailed(failure: UpstreamFailure): void {
    if (this.#state === CONNECTING) this.#fail(failure)
  }

  setSink(sink: ResponseSink): void {
    this.#sink = sink
  }

  /** True when a request can be written at once. */
  get ready(): boolean {
    return this.#state === IDLE
  }

  /** The pool keeps it: it may lie unused for the idle time. */
  rest(): void {
    this.#sink = null
    this.reused = true
    this.#wheel.arm(this, this.#wheel.now() + this.#timeouts.idleMs)
  }

  /** Whether the next request may use this connection, asked after `onResponseEnd`. */
  get reusable(): boolean {
    return this.#state === IDLE && this.#keepAlive && this.#requestSent
  }

  // --- writing a request

  /** Begins a request; `noBody` for HEAD. */
  begin(headText: string, noBody: boolean): void {
    this.#state = HEAD
    this.#noBody = noBody
    this.#requestSent = false
    this.answered = false
    this.#endless = false
    this.#out?.text(headText)
    this.#wheel.arm(this, this.#wheel.now() + this.#timeouts.idleMs)
  }

  text(text: string): void {
    this.#out?.text(text)
  }

  bytes(buf: Buffer, start: number, end: number): void {
    this.#out?.bytes(buf, start, end)
  }

  /** The request is written whole: the response time begins. */
  requestSent(): void {
    this.#requestSent = true
    if (this.#state === HEAD) this.#wheel.arm(this, this.#wheel.now() + this.#timeouts.responseMs)
  }

  /** False: hold back until `onUpstreamDrain`. */
  flush(): boolean {
    return this.#out === null || this.#out.flush()
  }

  /** The client asked to end its side of the tunnel. */
  endTunnel(): void {
    this.#out?.flush()
    this.#socket?.end()
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#socket?.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket?.resume()
    if (this.#state === BODY && !this.#endless) this.#wheel.arm(this, this.#wheel.now() + this.#timeouts.idleMs)
  }

  /** The body that follows may be silent for long (event stream): only TCP keep-alive watches it. */
  allowSilence(): void {
    this.#endless = true
    this.#wheel.remove(this)
  }

  startTunnel(): void {
    this.#state = TUNNEL
    this.#wheel.remove(this)
  }

  /** Ends a tunnel whose both directions are over for us: what was written still leaves, what comes is thrown away. */
  letGo(): void {
    this.#sink = null
    this.resume()
    this.#wheel.arm(this, this.#wheel.now() + this.#timeouts.idleMs)
  }

  destroy(): void {
    if (this.#state === CLOSED) return
    this.#state = CLOSED
    this.#sink = null
    this.#wheel.remove(this)
    this.#keeper.forget(this)
    this.#socket?.destroy()
  }

  // --- reading

  onBytes(buf: Buffer, start: number, end: number): void {
    this.#wheel.touch()
    if (this.#state === IDLE || this.#state === CLOSED) {
      // An answer to nothing: whatever it is, it must never meet the next request.
      this.destroy()
      return
    }
    this.answered = true
    if (this.#pending !== null) {
      const joined = Buffer.concat([this.#pending, buf.subarray(start, end)])
      this.#pending = null
      this.#read(joined, 0, joined.length)
    } else {
      this.#read(buf, start, end)
    }
    this.#sink?.onUpstreamReadDone()
  }

  onEnd(): void {
    if (this.#state === BODY && this.#bodyLeft === UNTIL_CLOSE) {
      this.#responseEnd('')
      this.destroy()
    } else if (this.#state === TUNNEL) {
      this.#sink?.onResponseEnd('')
    } else if (this.#state === CONNECTING) {
      this.#fail(this.#handshaking ? 'tls' : 'connect')
    } else {
      this.#fail('reset')
    }
  }

  onDrain(): void {
    this.#sink?.onUpstreamDrain()
  }

  onClose(error: Error | null): void {
    if (this.#state === CLOSED) return
    if (this.#state === CONNECTING) this.#fail(this.#handshaking || isTlsError(error) ? 'tls' : 'connect')
    else this.#fail('reset')
  }

  override onDeadline(nowMs: number): void {
    if (this.#state === CONNECTING) this.#fail('connect-timeout')
    else if (this.#state === HEAD) {
      // While the request body is on its way only an endpoint that does not read is late.
      if (this.#requestSent || (this.#socket?.writableLength ?? 0) > 0) this.#fail('response-timeout')
      else this.#wheel.arm(this, nowMs + this.#timeouts.idleMs)
    } else if (this.#state === BODY) {
      if (this.#paused) this.#wheel.arm(this, nowMs + this.#timeouts.idleMs)
      else this.#fail('body-timeout')
    } else if (this.#state === IDLE || this.#state === TUNNEL) this.destroy()
  }

  #read(buf: Buffer, from: number, end: number): void {
    let p = from
    while (p < end) {
      if (this.#state === HEAD) {
        const stop = parseResponseHead(buf, p, end, sharedHead, this.#noBody)
        if (stop === INCOMPLETE) {
          this.#pending = Buffer.from(buf.subarray(p, end))
          return
        }
        if (stop === RESPONSE_INVALID) {
          this.#fail('invalid')
          return
        }
        p = stop
        this.#head(p < end)
      } else if (this.#state === BODY) {
        p = this.#body(buf, p, end)
        if (p < 0) return
      } else if (this.#state === TUNNEL) {
        this.#sink?.onResponseBody(buf, p, end)
        return
      } else {
        // Bytes behind the end of the response: this connection is out of step.
        this.#keepAlive = false
        return
      }
    }
  }

  #head(more: boolean): void {
    const head = sharedHead
    const interim = head.status < 200
    if (!interim) {
      this.#keepAlive = head.keepAlive && !(more && head.bodyLength === 0)
      this.#bodyLeft = head.bodyLength
      this.#state = BODY
      this.#wheel.arm(this, this.#wheel.now() + this.#timeouts.idleMs)
      if (head.bodyLength === CHUNKED) {
        this.#decoder ??= new ChunkDecoder()
        this.#decoder.reset()
      }
    }
    this.#sink?.onResponseHead(head)
    if (!interim && this.#state === BODY && this.#bodyLeft === 0) this.#responseEnd('')
  }

  #body(buf: Buffer, from: number, end: number): number {
    if (!this.#endless) this.#wheel.arm(this, this.#wheel.now() + this.#timeouts.idleMs)
    if (this.#bodyLeft === UNTIL_CLOSE) {
      this.#sink?.onResponseBody(buf, from, end)
      return end
    }
    if (this.#bodyLeft >= 0) {
      const take = Math.min(this.#bodyLeft, end - from)
      this.#bodyLeft -= take
      // Bytes that follow the body make the connection useless, known before the end is told.
      if (this.#bodyLeft === 0 && from + take < end) this.#keepAlive = false
      this.#sink?.onResponseBody(buf, from, from + take)
      if (this.#bodyLeft === 0 && this.#state === BODY) this.#responseEnd('')
      return from + take
    }
    const decoder = this.#decoder as ChunkDecoder
    let p = from
    while (this.#state === BODY) {
      const found = decoder.next(buf, p, end)
      p = decoder.position
      if (found === CHUNK_MORE) return end
      if (found === CHUNK_DATA) this.#sink?.onResponseBody(buf, decoder.dataStart, decoder.dataEnd)
      else if (found === CHUNK_DONE) {
        if (p < end) this.#keepAlive = false
        this.#responseEnd(decoder.trailers)
        return p
      } else {
        this.#fail('invalid')
        return -1
      }
    }
    return end
  }

  #responseEnd(trailers: string): void {
    this.#state = IDLE
    this.#wheel.remove(this)
    this.#sink?.onResponseEnd(trailers)
  }

  #fail(failure: UpstreamFailure): void {
    const sink = this.#sink
    this.destroy()
    sink?.onUpstreamFailed(failure)
  }
}

function isTlsError(error: Error | null): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code ?? ''
  return /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|INVALID_CA|ERR_OSSL|EPROTO)/.test(
    code,
  )
}
