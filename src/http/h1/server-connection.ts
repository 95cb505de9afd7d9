import type { Socket } from 'node:net'
import type { ReasonCode } from '../../base/errors.ts'
import { Timed, type TimerWheel } from '../../base/timer-wheel.ts'
import { type ByteReader, readFrom } from '../byte-reader.ts'
import type { ClientStream, RequestSink } from '../client-stream.ts'
import type { RequestHead } from '../message.ts'
import { resetSocket } from '../reset-socket.ts'
import { ClientDeadline } from './client-deadline.ts'
import type { ConnectionSettings } from './connection-settings.ts'
import { BODY, CLOSED, HEAD, LINGERING, RESPONDING } from './read-phase.ts'
import { RequestReader, type RequestReaderOwner } from './request-reader.ts'
import { ResponseWriter } from './response-writer.ts'

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

/** One HTTP/1.x connection from a client: reads requests in order, writes their responses in order (RFC 9112 9.3). */
export class ServerConnection extends Timed implements ByteReader, ClientStream, RequestReaderOwner {
  readonly socket: Socket
  readonly settings: ConnectionSettings
  /** For the handler: what belongs to this connection. */
  readonly owner: unknown
  responseStarted = false
  /** For the handler: one reference to what it needs per connection (a place in an idle list). */
  entry: unknown = null

  readonly #handler: RequestHandler
  readonly #deadline: ClientDeadline
  readonly #out: ResponseWriter
  readonly #in: RequestReader

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
    this.socket = socket
    readFrom(socket, this)
    this.#deadline = new ClientDeadline(this, wheel, socket, settings)
    this.#out = new ResponseWriter(socket)
    this.#in = new RequestReader(this, socket, settings, this.#deadline)
    // The first head is awaited as strictly as one that has begun: an idle newcomer is a slow client.
    this.#deadline.touch()
    this.#deadline.head()
  }

  get head(): RequestHead {
    return this.#in.head
  }

  get requestDone(): boolean {
    return this.#in.requestDone
  }

  get reading(): boolean {
    return this.#in.reading
  }

  // --- the socket

  onBytes(buf: Buffer, start: number, end: number): void {
    this.#deadline.touch()
    this.#in.read(buf, start, end)
  }

  onEnd(): void {
    this.#in.end()
  }

  onDrain(): void {
    const reader = this.#in
    if (reader.phase === HEAD && reader.input.paused) {
      this.#deadline.idle()
      reader.readOn()
    } else reader.sink?.onDrain()
  }

  onClose(): void {
    const reader = this.#in
    if (reader.phase === CLOSED) return
    reader.phase = CLOSED
    this.#deadline.stop()
    const { sink } = reader
    reader.sink = null
    reader.input.take()
    sink?.onGone('client-gone')
    reader.releaseHead()
    this.#handler.onClosed(this)
  }

  // --- the end

  override onDeadline(): void {
    const reader = this.#in
    switch (reader.phase) {
      case HEAD:
        // Held back, it takes none of the answers it has: what it asked beyond them is not looked at.
        if (reader.input.paused) this.#cutIfStuck()
        else this.#headLate()
        return
      case BODY:
        // The endpoint takes no more; unless that is because this client takes nothing, it is the endpoint's time.
        if (!reader.flowing) this.#cutIfStuck()
        else if (reader.skipping) this.close()
        else reader.failBody('body-timeout')
        return
      case RESPONDING:
        // The endpoint's time is bounded on its own side; here only a client that takes nothing is.
        this.#cutIfStuck()
        return
      case LINGERING:
        // A slow reader still gets the end of its answer; FIN behind half an answer would pass for the end.
        if (this.socket.writableLength === 0) this.socket.destroy()
        else this.#cutIfStuck()
    }
  }

  #headLate(): void {
    if (this.#in.refuseBegun('head-timeout')) return
    if (this.#in.requests > 0) this.#linger()
    else this.close()
  }

  #cutIfStuck(): void {
    if (this.#deadline.isStuck()) this.cut('client-too-slow')
  }

  /** Closes an idle connection, or one that has sent no byte of a request. */
  close(): void {
    if (this.#in.phase !== CLOSED) this.socket.destroy()
  }

  /** Breaks the connection off, whatever is under way: an exchange that runs ends with this code. */
  cut(code: ReasonCode): void {
    if (this.#in.phase === CLOSED) return
    const { sink } = this.#in
    this.#in.sink = null
    sink?.onGone(code)
    resetSocket(this.socket)
  }

  /** Closes the connection, unless something is under way. */
  closeIdle(): void {
    if (this.#in.phase === HEAD && !this.#in.input.holds) this.#linger()
  }

  /** Sends what is left, says FIN, and reads over what still comes for a while. */
  #linger(): void {
    const reader = this.#in
    if (reader.phase === CLOSED) return
    reader.phase = LINGERING
    reader.sink = null
    reader.input.take()
    reader.releaseHead()
    this.#out.flush()
    this.socket.end()
    this.#deadline.linger()
    reader.input.resume()
  }

  // --- what the reader comes upon

  onHeadBegun(): void {
    this.responseStarted = false
    this.#handler.onIdle(this, false)
  }

  onHead(): void {
    this.#handler.onRequest(this)
  }

  onUnreadable(code: ReasonCode): void {
    this.#handler.onRefusal(this, code)
  }

  onSkipped(): void {
    this.#next()
  }

  onReadingOver(): void {
    this.#linger()
  }

  onAllRead(): void {
    const reader = this.#in
    this.#out.flush()
    // Half a head that ends with FIN will never be whole.
    if (reader.ended && reader.phase === HEAD && !reader.input.paused) this.#linger()
  }

  // --- the request body, by the one who takes it

  setSink(sink: RequestSink): void {
    this.#in.sink = sink
  }

  pauseBody(): void {
    this.#in.pause()
  }

  resumeBody(): void {
    this.#in.resume()
  }

  // --- writing

  sendInterim(status: number, fields: string): void {
    if (this.head.minor === 1 && !this.responseStarted) this.#out.interim(status, fields)
  }

  sendHead(status: number, reason: string, fields: string, length: number, bodyless: boolean, declared: boolean): void {
    const reader = this.#in
    this.responseStarted = true
    // A body that is not wanted any more cannot be told from the next request.
    if (this.settings.closing || (!reader.requestDone && !reader.canSkip())) reader.keepAlive = false
    const http10 = reader.head.minor === 0
    reader.keepAlive = this.#out.head(status, reason, fields, length, bodyless, http10, reader.keepAlive, declared)
  }

  sendBody(buf: Buffer, start: number, end: number): void {
    this.#out.body(buf, start, end)
  }

  sendEnd(trailers: string): void {
    const reader = this.#in
    this.#out.end(trailers)
    reader.sink = null
    if (!reader.keepAlive) this.#linger()
    else if (reader.requestDone) this.#next()
    else if (!reader.canSkip()) this.#linger()
    else {
      // The answer came before the whole request: read the rest over.
      this.#out.flush()
      reader.skip()
    }
  }

  flush(): boolean {
    return this.#out.flush()
  }

  startTunnel(fields: string): void {
    this.responseStarted = true
    this.#out.switching(fields)
    this.#deadline.stop()
    this.#in.tunnel()
  }

  endTunnel(): void {
    this.#out.flush()
    this.socket.end()
  }

  abort(): void {
    this.#in.sink = null
    if (this.#in.phase === CLOSED) return
    this.#out.flush()
    // A close-delimited body ends with FIN: only a reset tells that it is not whole.
    if (this.#out.endsWithConnection) resetSocket(this.socket)
    else this.socket.destroy()
  }

  /** The exchange is over: on to the next request. */
  #next(): void {
    const reader = this.#in
    reader.phase = HEAD
    reader.releaseHead()
    this.#deadline.idle()
    this.#handler.onIdle(this, true)
    if (reader.reading) return
    this.#out.flush()
    reader.readOn()
  }
}
