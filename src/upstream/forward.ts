import type { ReasonCode } from '../base/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import { LocalReply } from '../core/reply.ts'
import { runResponseHooks, runUpstreamHooks } from '../core/run-hooks.ts'
import type { ClientStream, RequestSink } from '../http/client-stream.ts'
import { HOP, LENGTH } from '../http/field-names.ts'
import { DROPPED } from '../http/field-table.ts'
import { INTERIM_RESPONSES } from '../http/limits.ts'
import { CHUNKED, type ResponseHead } from '../http/message.ts'
import type { Ticket, Waiter } from './admission/admission.ts'
import { dateField } from './date-field.ts'
import type { Endpoint } from './endpoints/endpoint.ts'
import { REASON_OF } from './failure-reason.ts'
import { hashOf } from './hash-key.ts'
import type { HttpUpstream } from './http-upstream.ts'
import { isIdempotent, mayRetry } from './retry.ts'
import type { ConnectionPool } from './transports/http/connection-pool.ts'
import { requestText } from './transports/http/request-text.ts'
import type { ResponseSink, UpstreamConnection, UpstreamFailure } from './transports/http/upstream-connection.ts'
import { Tunnel, type TunnelOwner } from './tunnel.ts'

/**
 * One exchange on its way to an endpoint and back: waits for a slot, chooses an endpoint, writes the request, passes the
 * response on, repeats what may be repeated. Bytes go through without being collected; each side waits for the other.
 */
export class Forward implements RequestSink, ResponseSink, Waiter, TunnelOwner {
  readonly #upstream: HttpUpstream
  readonly #exchange: Exchange
  readonly #stream: ClientStream
  #ticket: Ticket | null = null
  #admitted = false
  #endpoint: Endpoint | null = null
  #connection: UpstreamConnection | null = null
  /** Where the connection came from: it goes back there, whatever a reload did meanwhile. */
  #pool: ConnectionPool | null = null
  #attemptStartedMs = 0
  /** What the endpoint of this attempt answered with; 0 when it did not. */
  #attemptStatus = 0
  /** Request body bytes were written: it cannot be repeated. */
  #bodySent = false
  #bodyDone = false
  #interims = 0
  #responding = false
  #staleRepeated = false
  /** Endpoints of failed attempts; null before the first retry. */
  #tried: Endpoint[] | null = null
  #done = false

  constructor(upstream: HttpUpstream, exchange: Exchange) {
    this.#upstream = upstream
    this.#exchange = exchange
    this.#stream = exchange.stream
  }

  start(): void {
    const { admission, budget } = this.#upstream
    this.#exchange.upstream = this.#upstream.name
    this.#exchange.upstreamStartedMs = this.#upstream.wheel.now()
    this.#bodyDone = this.#stream.requestDone
    this.#stream.setSink(this)
    budget?.request()
    if (admission.tryEnter()) {
      this.#admitted = true
      this.#attempt(null, false)
      return
    }
    const ticket = admission.enqueue(this)
    if (ticket === 'full') this.#refuse('upstream-queue-full', 'Retry-After: 1\r\n')
    else this.#ticket = ticket
  }

  onAdmitted(): void {
    this.#ticket = null
    this.#admitted = true
    this.#attempt(null, false)
  }

  onQueueTimeout(): void {
    this.#ticket = null
    this.#refuse('upstream-queue-timeout', 'Retry-After: 1\r\n')
  }

  /** @param avoid the endpoint that failed; @param fresh no reused connection: it might be as stale as the last one. */
  #attempt(avoid: Endpoint | null, fresh: boolean): void {
    const upstream = this.#upstream
    const exchange = this.#exchange
    const hash = upstream.hashBy === null ? 0 : hashOf(upstream.hashBy, exchange)
    const endpoint = upstream.set.pick(hash, avoid, this.#tried)
    if (endpoint === null) {
      this.#refuse('upstream-unavailable', 'Retry-After: 1\r\n')
      return
    }
    exchange.attempts++
    exchange.endpoint = endpoint.label
    this.#endpoint = endpoint
    this.#attemptStartedMs = upstream.wheel.now()
    this.#attemptStatus = 0
    endpoint.started()
    const reply = runUpstreamHooks(exchange)
    if (reply !== undefined) {
      this.leaveEndpoint()
      this.#finishWith(reply)
      return
    }
    const pool = upstream.pool(endpoint)
    this.#pool = pool
    const prelude = upstream.proxyHeader === null ? null : upstream.proxyHeader(exchange)
    const connection = (fresh || prelude !== null ? null : pool.take()) ?? pool.open(prelude)
    this.#connection = connection
    connection.setSink(this)
    if (connection.ready) this.onConnected()
    else if (!this.#bodyDone) this.#stream.pauseBody()
  }

  // --- ResponseSink: the endpoint's side

  onConnected(): void {
    const connection = this.#connection as UpstreamConnection
    const request = this.#exchange.request
    connection.begin(
      requestText(this.#exchange, this.#exchange.route?.rewrite?.host ?? null),
      request.method === 'HEAD',
    )
    if (request.bodyLength === 0) connection.requestSent()
    else this.#stream.resumeBody()
    // Within a read event the body may follow at once and joins the head.
    if (!this.#stream.reading) connection.flush()
  }

  onResponseHead(head: ResponseHead): void {
    const exchange = this.#exchange
    const { status } = head
    if (status < 200) {
      this.#interim(head)
      return
    }
    const endpoint = this.#endpoint as Endpoint
    const now = this.#upstream.wheel.now()
    this.#attemptStatus = status
    if (status === 502 || status === 503 || status === 504) endpoint.failed()
    else endpoint.succeeded(now - this.#attemptStartedMs)
    if (status >= 400 && this.#retry(status, endpoint)) return
    exchange.upstreamMs = now - exchange.upstreamStartedMs
    if (!runResponseHooks(exchange, head)) {
      this.#abandon()
      this.#refuse('policy-failed', '')
      return
    }
    this.#responding = true
    exchange.status = status
    const { fields } = head
    const bodyless = exchange.request.method === 'HEAD' || status === 204 || status === 304
    const length = bodyless ? (status === 204 ? -1 : head.contentLength) : head.bodyLength
    // From a section that nobody changed the announced length may go on as it stands.
    const declared = length >= 0 && length === head.contentLength && fields.shared !== null
    const drop = declared ? HOP | DROPPED : HOP | DROPPED | LENGTH
    let lines = `${fields.write(drop)}X-Request-Id: ${exchange.id}\r\n`
    if (!head.dated) lines += dateField()
    if (head.contentType >= 0 && isEventStream(head)) this.#connection?.allowSilence()
    this.#stream.sendHead(status, head.reason, lines, length < 0 ? -1 : length, bodyless, declared)
  }

  onResponseBody(buf: Buffer, start: number, end: number): void {
    this.#exchange.bytesOut += end - start
    this.#stream.sendBody(buf, start, end)
  }

  onResponseEnd(trailers: string): void {
    const connection = this.#connection as UpstreamConnection
    this.leaveEndpoint()
    this.#pool?.release(connection, this.#upstream.proxyHeader === null)
    const kept = this.#exchange.request.teTrailers ? trailers : ''
    const stream = this.#stream
    this.end('ok')
    stream.sendEnd(kept)
  }

  onUpstreamReadDone(): void {
    if (!this.#stream.flush()) this.#connection?.pause()
  }

  onUpstreamDrain(): void {
    if (!this.#done && !this.#bodyDone) this.#stream.resumeBody()
  }

  onUpstreamFailed(failure: UpstreamFailure): void {
    if (this.#done) return
    const connection = this.#connection as UpstreamConnection
    const endpoint = this.#endpoint as Endpoint
    const exchange = this.#exchange
    const stale = failure === 'reset' && connection.reused && !connection.answered
    // A connection that the endpoint had given up says nothing about its health; one that answered was judged by that.
    if (!stale && this.#attemptStatus === 0) endpoint.failed()
    this.leaveEndpoint()
    if (this.#responding) {
      this.#stream.abort()
      this.end(REASON_OF[failure])
      return
    }
    if (!connection.answered) {
      const { method } = exchange.request
      if (stale && !this.#staleRepeated && !this.#bodySent && isIdempotent(method)) {
        this.#staleRepeated = true
        this.#attempt(endpoint, true)
        return
      }
      if (this.#retry(failure, endpoint)) return
    }
    this.#refuse(REASON_OF[failure], '')
  }

  // --- RequestSink: the client's side

  onBody(buf: Buffer, start: number, end: number): void {
    const connection = this.#connection as UpstreamConnection
    this.#exchange.bytesIn += end - start
    this.#bodySent = true
    if (this.#exchange.request.bodyLength === CHUNKED) {
      connection.text(`${(end - start).toString(16)}\r\n`)
      connection.bytes(buf, start, end)
      connection.text('\r\n')
    } else {
      connection.bytes(buf, start, end)
    }
  }

  onBodyEnd(trailers: string): void {
    const connection = this.#connection as UpstreamConnection
    this.#bodyDone = true
    if (this.#exchange.request.bodyLength === CHUNKED) {
      this.#bodySent = true
      connection.text(`0\r\n${trailers}\r\n`)
    }
    connection.requestSent()
  }

  onBodyFailed(code: ReasonCode): void {
    this.#abandon()
    if (this.#responding) {
      this.#stream.abort()
      this.end(code)
    } else this.#refuse(code, '')
  }

  onReadDone(): void {
    const connection = this.#connection
    if (connection === null || this.#done) return
    if (!connection.flush() && !this.#bodyDone) this.#stream.pauseBody()
  }

  onDrain(): void {
    this.#connection?.resume()
  }

  onGone(code: ReasonCode): void {
    if (this.#done) return
    this.#abandon()
    this.end(code)
  }

  // --- what comes after either side

  leaveEndpoint(): void {
    const endpoint = this.#endpoint
    if (endpoint !== null) {
      endpoint.finished()
      this.#upstream.onAttempt(this.#upstream.name, endpoint, this.#attemptStatus)
    }
    this.#endpoint = null
    this.#connection = null
  }

  end(outcome: 'ok' | ReasonCode): void {
    if (this.#done) return
    this.#done = true
    if (this.#endpoint !== null) this.#abandon()
    this.#release()
    this.#exchange.owner.ended(this.#exchange, outcome)
  }

  // --- steps

  #interim(head: ResponseHead): void {
    const { request } = this.#exchange
    if (head.status === 101) {
      if (request.upgrade === null || head.upgrade === null) this.#invalid()
      else this.#startTunnel(head)
      return
    }
    if (++this.#interims > INTERIM_RESPONSES) this.#invalid()
    else this.#stream.sendInterim(head.status, head.fields.write(HOP | DROPPED | LENGTH))
  }

  #startTunnel(head: ResponseHead): void {
    const exchange = this.#exchange
    const connection = this.#connection as UpstreamConnection
    this.#responding = true
    exchange.status = 101
    this.#attemptStatus = 101
    exchange.upstreamMs = this.#upstream.wheel.now() - exchange.upstreamStartedMs
    ;(this.#endpoint as Endpoint).succeeded(this.#upstream.wheel.now() - this.#attemptStartedMs)
    const fields = `${head.fields.write(HOP | DROPPED | LENGTH)}Upgrade: ${head.upgrade}\r\n`
    new Tunnel(this, exchange, connection).start(fields)
  }

  /** The endpoint broke the rules: nothing it sent on this connection is used. */
  #invalid(): void {
    this.#connection?.destroy()
    this.onUpstreamFailed('invalid')
  }

  /** Repeats the attempt elsewhere if the rules and the budget allow it; an attempt that still runs is given up. */
  #retry(failure: UpstreamFailure | number, endpoint: Endpoint): boolean {
    const { retry, budget } = this.#upstream
    const exchange = this.#exchange
    // The repeat of a stale connection is not one of the attempts: nobody was asked.
    const attempts = exchange.attempts - (this.#staleRepeated ? 1 : 0)
    if (!mayRetry(retry, failure, exchange.request.method, this.#bodySent, attempts)) return false
    if (budget !== null && !budget.tryRetry()) return false
    if (this.#endpoint !== null) this.#abandon()
    this.#upstream.onRetry(this.#upstream.name)
    if (this.#tried === null) this.#tried = [endpoint]
    else this.#tried.push(endpoint)
    this.#attempt(endpoint, false)
    return true
  }

  /** Gives up the attempt that runs, if one does. */
  #abandon(): void {
    this.#connection?.destroy()
    this.#connection = null
    if (this.#endpoint !== null) this.leaveEndpoint()
  }

  #refuse(code: ReasonCode, headers: string): void {
    this.#finishWith(new LocalReply(code, headers))
  }

  #finishWith(reply: LocalReply): void {
    this.#done = true
    this.#release()
    this.#exchange.owner.reply(this.#exchange, reply)
  }

  /** Leaves the queue or gives the slot back. */
  #release(): void {
    if (this.#ticket !== null) {
      this.#upstream.admission.cancel(this.#ticket)
      this.#ticket = null
    }
    if (!this.#admitted) return
    this.#admitted = false
    this.#upstream.admission.leave()
  }
}

function isEventStream(head: ResponseHead): boolean {
  return head.fields.value(head.contentType).toLowerCase().startsWith('text/event-stream')
}
