import type { Socket } from 'node:net'
import type { ReasonCode } from '../base/errors.ts'
import type { ConnectionInfo } from '../core/connection-info.ts'
import type { Outcome } from '../core/outcome.ts'
import { type ProxyAddresses, writeProxyV1, writeProxyV2 } from './proxy-protocol/write.ts'
import type { TcpEndpoint, TcpRecord, TcpSettings, TcpTarget } from './tcp-mode.ts'
import { TunnelSide } from './tunnel-side.ts'

/** The largest delay a Node timer takes. */
const MAX_TIMER_MS = 0x7fffffff

/** One client connection and the endpoint connection its bytes are passed on to. */
export class TcpTunnel {
  readonly #client: TunnelSide
  readonly #info: ConnectionInfo
  readonly #settings: TcpSettings
  readonly #now: () => number
  readonly #onEnd: (record: TcpRecord) => void
  readonly #startedMs: number
  readonly #tried: TcpEndpoint[] = []
  #firstBytes: Buffer | null
  #target: TcpTarget | null = null
  #picked: TcpEndpoint | null = null
  #endpoint: TunnelSide | null = null
  #endpointName: string | null = null
  #connectTimer: NodeJS.Timeout | null = null
  #attempts = 0
  #joined = false
  /** What an orderly end will be called. */
  #outcome: Outcome = 'ok'
  #over = false

  /** @param onEnd called exactly once, when both connections are gone or given up */
  constructor(
    client: Socket,
    info: ConnectionInfo,
    firstBytes: Buffer | null,
    settings: TcpSettings,
    now: () => number,
    onEnd: (record: TcpRecord) => void,
  ) {
    this.#info = info
    this.#firstBytes = firstBytes
    this.#settings = settings
    this.#now = now
    this.#onEnd = onEnd
    this.#startedMs = now()
    this.#client = new TunnelSide(client, (side, error) => {
      if (this.#endpoint?.closed === true) this.#finish(this.#outcome)
      else if (error !== null || !side.socket.readableEnded) this.abort('client-gone')
    })
    info.localEnd = this.#client.socket
  }

  /** Connects to the endpoint that the target picks, to another one if that fails, and passes bytes on from then. */
  start(target: TcpTarget): void {
    this.#target = target
    this.#attempt('upstream-unavailable')
  }

  /** Ends both connections now. The other side of a broken one sees a reset too, not an orderly end. */
  abort(reason: ReasonCode): void {
    if (this.#over) return
    reset(this.#client.socket)
    if (this.#endpoint !== null) reset(this.#endpoint.socket)
    this.#finish(reason)
  }

  /** @param lastFailure why the connection ends when no endpoint is left */
  #attempt(lastFailure: ReasonCode): void {
    const picked = this.#attempts < this.#settings.attempts ? this.#target!.pick(this.#info.peerIp, this.#tried) : null
    if (picked === null) {
      this.abort(lastFailure)
      return
    }
    this.#attempts++
    this.#picked = picked
    this.#endpointName = picked.path ?? `${picked.host}:${picked.port}`
    picked.started()
    const { host, port, path } = picked
    const endpoint = new TunnelSide(path === undefined ? { host, port } : { path }, (side, error) => {
      // One that was given up has nothing to say any more.
      if (side !== this.#endpoint) return
      if (this.#joined) this.#endpointClosed(side, error)
      else this.#connectFailed(side, 'upstream-connect-failed')
    })
    this.#endpoint = endpoint
    endpoint.socket.once('connect', () => {
      // Given up in the same turn.
      if (this.#over || endpoint !== this.#endpoint) return
      this.#stopConnectTimer()
      this.#join(endpoint)
    })
    const { connectTimeoutMs } = this.#settings
    if (connectTimeoutMs !== Number.POSITIVE_INFINITY) {
      this.#connectTimer = setTimeout(
        () => this.#connectFailed(endpoint, 'upstream-connect-timeout'),
        Math.min(connectTimeoutMs, MAX_TIMER_MS),
      )
    }
  }

  #connectFailed(endpoint: TunnelSide, reason: ReasonCode): void {
    if (this.#over || endpoint !== this.#endpoint) return
    this.#stopConnectTimer()
    endpoint.socket.destroy()
    this.#endpoint = null
    const picked = this.#picked!
    this.#picked = null
    this.#tried.push(picked)
    picked.finished(false)
    this.#attempt(reason)
  }

  #join(endpoint: TunnelSide): void {
    const client = this.#client
    this.#joined = true
    const header = this.#proxyHeader()
    const first = this.#firstBytes
    this.#firstBytes = null
    if (first !== null) client.received += first.length
    // One write, as the protocol asks of the header.
    if (header !== null && first !== null) endpoint.socket.write(Buffer.concat([header, first]))
    else if (header !== null || first !== null) endpoint.socket.write((header ?? first)!)
    // What is read from one side is written to the other, so one socket's clock sees both directions.
    if (this.#settings.idleTimeoutMs !== Number.POSITIVE_INFINITY) {
      client.socket.setTimeout(Math.min(this.#settings.idleTimeoutMs, MAX_TIMER_MS), () => this.#idle())
    }
    endpoint.joinTo(client)
    client.joinTo(endpoint)
  }

  #endpointClosed({ socket }: TunnelSide, error: Error | null): void {
    if (!socket.readableEnded) {
      this.abort('upstream-reset')
      return
    }
    if (error !== null) {
      // It had sent all it had to say, and resets because the client goes on to send: the client still gets every byte.
      this.#outcome = 'upstream-reset'
      this.#client.socket.destroySoon()
    }
    if (this.#client.closed) this.#finish(this.#outcome)
  }

  #idle(): void {
    if (this.#over) return
    this.#client.socket.destroy()
    this.#endpoint?.socket.destroy()
    this.#finish('idle-timeout')
  }

  #proxyHeader(): Buffer | null {
    const version = this.#settings.proxyProtocol
    if (version === null) return null
    const { peerIp, peerPort, destination } = this.#info
    const addresses: ProxyAddresses = {
      sourceIp: peerIp,
      sourcePort: peerPort,
      destinationIp: destination?.ip ?? 'unknown',
      destinationPort: destination?.port ?? 0,
    }
    return version === 'v1' ? writeProxyV1(addresses) : writeProxyV2(addresses)
  }

  #stopConnectTimer(): void {
    if (this.#connectTimer !== null) clearTimeout(this.#connectTimer)
    this.#connectTimer = null
  }

  #finish(outcome: Outcome): void {
    if (this.#over) return
    this.#over = true
    this.#stopConnectTimer()
    this.#picked?.finished(outcome !== 'upstream-reset')
    this.#onEnd({
      connection: this.#info,
      startedMs: this.#startedMs,
      durationMs: this.#now() - this.#startedMs,
      endpoint: this.#endpointName,
      attempts: this.#attempts,
      bytesIn: this.#client.received,
      bytesOut: this.#endpoint?.received ?? 0,
      outcome,
    })
  }
}

/** Closes with a RST where the transport has one: a TCP connection that is established. */
function reset(socket: Socket): void {
  // Not after `end`: libuv refuses a reset while the FIN waits, and Node then leaks the handle and cannot end its thread.
  if (socket.writableEnded || socket.remoteAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}
