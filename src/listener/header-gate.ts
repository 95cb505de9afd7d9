import type { Socket } from 'node:net'
import type { ReasonCode } from '../base/errors.ts'
import type { ProxyHeader } from './proxy-protocol/header.ts'
import { detectProxyHeader, readProxyHeader } from './proxy-protocol/read.ts'

/** Who is told how the first bytes of a connection turned out. Exactly one of the two is called, or none after `stop`. */
export interface GateListener {
  /**
   * The first bytes are settled. The socket is paused and has none of the gate's handlers left.
   * @param header null when the sender may send none, and sent none
   * @param rest bytes after the header that were read already; null when there are none
   */
  onPassed(header: ProxyHeader | null, rest: Buffer | null): void
  /** The connection must be closed. Reason null: it ended before it sent a byte, as TCP health checks do. */
  onRefused(reason: ReasonCode | null): void
}

/** The largest delay a Node timer takes. */
const MAX_TIMER_MS = 0x7fffffff

/** Reads the PROXY protocol header off a raw socket, or makes sure that there is none. */
export class HeaderGate {
  readonly #socket: Socket
  readonly #demanded: boolean
  readonly #listener: GateListener
  readonly #timer: NodeJS.Timeout | null
  #held: Buffer | null = null

  /**
   * Starts to read at once.
   * @param demanded true: a header must come; false: none may
   * @param timeoutMs for the whole header; Infinity for none
   */
  constructor(socket: Socket, demanded: boolean, timeoutMs: number, listener: GateListener) {
    this.#socket = socket
    this.#demanded = demanded
    this.#listener = listener
    const late = (): void => this.#refuse(demanded ? 'proxy-protocol-invalid' : 'head-timeout')
    this.#timer = timeoutMs === Number.POSITIVE_INFINITY ? null : setTimeout(late, Math.min(timeoutMs, MAX_TIMER_MS))
    socket.on('data', this.#onData)
    socket.on('end', this.#onGone)
    socket.on('error', this.#onGone)
    socket.on('close', this.#onGone)
    socket.resume()
  }

  /** Stops to read and calls nobody. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#socket.pause()
    this.#socket.off('data', this.#onData)
    this.#socket.off('end', this.#onGone)
    this.#socket.off('error', this.#onGone)
    this.#socket.off('close', this.#onGone)
  }

  readonly #onData = (chunk: Buffer): void => {
    const bytes = this.#held === null ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = bytes
    if (!this.#demanded) {
      const found = detectProxyHeader(bytes, 0, bytes.length)
      if (found === 'none') this.#pass(null, bytes)
      else if (found !== 'more') this.#refuse('proxy-protocol-untrusted')
      return
    }
    const header = readProxyHeader(bytes, 0, bytes.length)
    if (header === 'proxy-protocol-invalid') this.#refuse(header)
    else if (header !== null) this.#pass(header, bytes.subarray(header.length))
  }

  readonly #onGone = (): void => {
    this.#refuse(this.#held === null ? null : this.#demanded ? 'proxy-protocol-invalid' : 'client-gone')
  }

  #pass(header: ProxyHeader | null, rest: Buffer): void {
    this.stop()
    this.#listener.onPassed(header, rest.length === 0 ? null : rest)
  }

  #refuse(reason: ReasonCode | null): void {
    this.stop()
    this.#listener.onRefused(reason)
  }
}
