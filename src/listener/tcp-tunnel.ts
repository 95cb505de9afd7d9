import { createConnection, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { unmapIp } from '../base/cidr.ts'
import type { ReasonCode } from '../base/errors.ts'
import type { ConnectionInfo } from '../core/connection-info.ts'
import type { Outcome } from '../core/outcome.ts'
import type { ConnectionSlot } from './connection-slot.ts'
import { type ProxyAddresses, writeProxyV1, writeProxyV2 } from './proxy-protocol/write.ts'
import type { TcpEndpoint, TcpRecord, TcpSettings, TcpTarget } from './tcp-mode.ts'

/** The largest delay a Node timer takes. */
const MAX_TIMER_MS = 0x7fffffff

/** One client connection and the endpoint connection its bytes are passed on to. */
export class TcpTunnel {
  readonly #client: Socket
  readonly #info: ConnectionInfo
  readonly #slot: ConnectionSlot
  readonly #settings: TcpSettings
  readonly #now: () => number
  readonly #onEnd: (record: TcpRecord) => void
  readonly #startedMs: number
  readonly #tried: TcpEndpoint[] = []
  #firstBytes: Buffer | null
  #target: TcpTarget | null = null
  #picked: TcpEndpoint | null = null
  #endpoint: Socket | null = null
  #endpointName: string | null = null
  #connectTimer: NodeJS.Timeout | null = null
  #attempts = 0
  #bytesIn = 0
  #bytesOut = 0
  #clientClosed = false
  #endpointClosed = false
  /** What an orderly end will be called. */
  #outcome: Outcome = 'ok'
  #over = false

  /** @param onEnd called exactly once, when both connections are gone or given up */
  constructor(
    client: Socket,
    info: ConnectionInfo,
    firstBytes: Buffer | null,
    slot: ConnectionSlot,
    settings: TcpSettings,
    now: () => number,
    onEnd: (record: TcpRecord) => void,
  ) {
    this.#client = client
    this.#info = info
    this.#firstBytes = firstBytes
    this.#slot = slot
    this.#settings = settings
    this.#now = now
    this.#onEnd = onEnd
    this.#startedMs = now()
    client.on('error', () => this.abort('client-gone'))
    client.on('close', () => {
      this.#clientClosed = true
      if (this.#endpointClosed) this.#finish(this.#outcome)
      else if (!client.readableEnded) this.abort('client-gone')
    })
  }

  /** Connects to the endpoint that the target picks, to another one if that fails, and passes bytes on from then. */
  start(target: TcpTarget): void {
    this.#target = target
    this.#attempt('upstream-unavailable')
  }

  /** Ends both connections now. The other side of a broken one sees a reset too, not an orderly end. */
  abort(reason: ReasonCode): void {
    if (this.#over) return
    reset(this.#client)
    if (this.#endpoint !== null) reset(this.#endpoint)
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
    const endpoint = createConnection(
      picked.path === undefined
        ? { host: picked.host, port: picked.port, allowHalfOpen: true, noDelay: true }
        : { path: picked.path, allowHalfOpen: true },
    )
    this.#endpoint = endpoint
    const failed = (): void => this.#connectFailed(endpoint, 'upstream-connect-failed')
    endpoint.once('error', failed)
    endpoint.once('connect', () => {
      endpoint.off('error', failed)
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

  #connectFailed(endpoint: Socket, reason: ReasonCode): void {
    if (this.#over || endpoint !== this.#endpoint) return
    this.#stopConnectTimer()
    endpoint.removeAllListeners()
    endpoint.on('error', ignore)
    endpoint.destroy()
    this.#endpoint = null
    const picked = this.#picked!
    this.#picked = null
    this.#tried.push(picked)
    picked.finished(false)
    this.#attempt(reason)
  }

  #join(endpoint: Socket): void {
    const client = this.#client
    const header = this.#proxyHeader()
    const first = this.#firstBytes
    this.#firstBytes = null
    if (first !== null) this.#bytesIn += first.length
    // One write, as the protocol asks of the header.
    if (header !== null && first !== null) endpoint.write(Buffer.concat([header, first]))
    else if (header !== null || first !== null) endpoint.write((header ?? first)!)

    endpoint.on('error', () => this.#endpointBroke(endpoint))
    endpoint.on('close', () => {
      this.#endpointClosed = true
      if (this.#clientClosed) this.#finish(this.#outcome)
      else if (!endpoint.readableEnded) this.abort('upstream-reset')
    })
    client.on('data', (chunk: Buffer) => {
      this.#bytesIn += chunk.length
      if (!endpoint.write(chunk)) client.pause()
    })
    endpoint.on('data', (chunk: Buffer) => {
      this.#bytesOut += chunk.length
      if (!client.write(chunk)) endpoint.pause()
    })
    client.on('drain', () => endpoint.resume())
    endpoint.on('drain', () => client.resume())
    // A FIN behind a PROXY header may have come while the endpoint was being connected.
    if (client.readableEnded) endpoint.end()
    else client.on('end', () => endpoint.end())
    endpoint.on('end', () => client.end())
    // What is read from one side is written to the other, so one socket's clock sees both directions.
    if (this.#settings.idleTimeoutMs !== Number.POSITIVE_INFINITY) {
      client.setTimeout(Math.min(this.#settings.idleTimeoutMs, MAX_TIMER_MS), () => this.#idle())
    }
    client.resume()
  }

  #endpointBroke(endpoint: Socket): void {
    if (!endpoint.readableEnded) {
      this.abort('upstream-reset')
      return
    }
    // It had sent all it had to say, and resets because the client goes on to send: the client still gets every byte.
    this.#outcome = 'upstream-reset'
    this.#client.destroySoon()
  }

  #idle(): void {
    if (this.#over) return
    this.#client.destroy()
    this.#endpoint?.destroy()
    this.#finish('client-too-slow')
  }

  #proxyHeader(): Buffer | null {
    const version = this.#settings.proxyProtocol
    if (version === null) return null
    const { peerIp, peerPort } = this.#info
    const { destinationIp, destinationPort } = this.#slot
    const addresses: ProxyAddresses = {
      sourceIp: peerIp,
      sourcePort: peerPort,
      destinationIp: destinationIp ?? unmapIp(this.#client.localAddress ?? 'unix'),
      destinationPort: destinationIp === null ? (this.#client.localPort ?? 0) : destinationPort,
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
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      outcome,
    })
  }
}

/** Closes with a RST where the transport has one: a TCP connection that is established. */
function reset(socket: Socket): void {
  if (socket instanceof TLSSocket || socket.remoteAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}

/** The attempt was given up: what its socket still reports concerns nobody. */
function ignore(): void {}
