import type { ReasonCode } from '../base/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { ClientStream, RequestSink } from '../http/client-stream.ts'
import type { ResponseSink, UpstreamConnection } from './transports/http/upstream-connection.ts'

/** What a tunnel gives back when it is over. */
export interface TunnelOwner {
  /** The connection goes its own way. */
  leaveEndpoint(): void
  /** The connection, if it is still there, is given up. */
  end(outcome: 'ok' | ReasonCode): void
}

/** Passes bytes both ways after a 101 (RFC 9110 7.8); each side waits for the other and may say FIN on its own. */
export class Tunnel implements RequestSink, ResponseSink {
  readonly #owner: TunnelOwner
  readonly #exchange: Exchange
  readonly #stream: ClientStream
  readonly #connection: UpstreamConnection
  /** Who said FIN. */
  #clientEnded = false
  #endpointEnded = false
  #done = false

  constructor(owner: TunnelOwner, exchange: Exchange, connection: UpstreamConnection) {
    this.#owner = owner
    this.#exchange = exchange
    this.#stream = exchange.stream
    this.#connection = connection
  }

  /** Answers 101 with these field lines and takes both sides over. */
  start(fields: string): void {
    this.#connection.setSink(this)
    this.#stream.setSink(this)
    this.#connection.startTunnel()
    this.#stream.startTunnel(fields)
    if (!this.#done) this.#connection.flush()
  }

  // --- ResponseSink: the endpoint's side

  onConnected(): void {}

  onResponseHead(): void {}

  onResponseBody(buf: Buffer, start: number, end: number): void {
    this.#exchange.bytesOut += end - start
    this.#stream.sendBody(buf, start, end)
  }

  onResponseEnd(): void {
    this.#endpointEnded = true
    this.#stream.endTunnel()
    this.#sideEnded()
  }

  onUpstreamReadDone(): void {
    if (!this.#stream.flush() && !this.#done) this.#connection.pause()
  }

  onUpstreamDrain(): void {
    if (!this.#done) this.#stream.resumeBody()
  }

  onUpstreamFailed(): void {
    if (this.#done) return
    this.#done = true
    this.#owner.leaveEndpoint()
    if (this.#endpointEnded) {
      // It has said all and takes no more: its last words must not be cut off with the connection.
      this.#owner.end('ok')
      this.#stream.sendEnd('')
      return
    }
    this.#stream.abort()
    this.#owner.end('ok')
  }

  // --- RequestSink: the client's side

  onBody(buf: Buffer, start: number, end: number): void {
    this.#exchange.bytesIn += end - start
    this.#connection.bytes(buf, start, end)
  }

  onBodyEnd(): void {
    this.#clientEnded = true
    this.#connection.endTunnel()
    this.#sideEnded()
  }

  onBodyFailed(code: ReasonCode): void {
    this.#done = true
    this.#connection.destroy()
    this.#stream.abort()
    this.#owner.end(code)
  }

  onReadDone(): void {
    if (!this.#done && !this.#connection.flush()) this.#stream.pauseBody()
  }

  onDrain(): void {
    if (!this.#done) this.#connection.resume()
  }

  onGone(code: ReasonCode): void {
    if (this.#done) return
    this.#done = true
    if (this.#clientEnded) {
      // It had said all and takes no more: what it said still goes to the endpoint.
      this.#connection.letGo()
      this.#owner.leaveEndpoint()
    }
    // A tunnel that its client leaves has ended as tunnels do.
    this.#owner.end(code === 'client-gone' ? 'ok' : code)
  }

  /** The tunnel is over with the second FIN. What was given for either side is still sent. */
  #sideEnded(): void {
    if (!this.#clientEnded || !this.#endpointEnded) return
    this.#done = true
    this.#connection.letGo()
    this.#owner.leaveEndpoint()
    this.#owner.end('ok')
    this.#stream.sendEnd('')
  }
}
