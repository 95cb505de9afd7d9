import { TimerWheel } from '../base/timer-wheel.ts'
import type { Config } from '../config/root.schema.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { ConnectionSettings } from '../http/h1/connection-settings.ts'
import type { Deliver } from '../listener/listener.ts'
import type { ListenerEvents } from '../listener/settings.ts'
import { createSecureContexts } from '../listener/tls/secure-context.ts'
import { H1Entry } from '../proxy/h1-entry.ts'
import { Handler } from '../proxy/handle.ts'
import { AccessLog } from '../telemetry/access-log.ts'
import { type MetricGrant, Recorder } from '../telemetry/metrics/recorder.ts'
import { RequestIds } from '../telemetry/request-id.ts'
import { createTracing } from '../telemetry/trace/create-tracing.ts'
import { PassOn, type Tracing } from '../telemetry/trace/tracing.ts'
import { WriteTurn } from '../telemetry/write-turn.ts'
import { dateField } from '../upstream/date-field.ts'
import { connectionSettings, listenerSettings } from './listener-plan.ts'
import { type ListenerPlan, ListenerSet } from './listener-set.ts'
import { listenerKey, listenerUrl } from './listener-url.ts'
import type { EndpointsChange, EndpointTable, Preparation, ThreadStats } from './messages.ts'
import type { SharedMemory } from './shared-memory.ts'
import { type CompiledConfig, SnapshotCompiler } from './snapshot-compiler.ts'
import { TcpEntry } from './tcp-entry.ts'
import type { EngineHost, ListenResult, ThreadEngine } from './thread-engine.ts'

/** A TCP connection that an endpoint did not take has sent nothing yet, so another endpoint may be tried. */
const TCP_ATTEMPTS = 3

/** Listening sockets of one thread on one address: connections taken in per turn of its event loop. */
const ACCEPT_SOCKETS = 32

interface Candidate {
  readonly compiled: CompiledConfig
  readonly plans: readonly ListenerPlan[]
  readonly accessLog: AccessLog | null
  readonly accessLogPath: string | null
  readonly tracing: Tracing
  readonly otlp: string | null
  /** By `listenerKey`. */
  readonly settings: ReadonlyMap<string, ConnectionSettings>
  readonly tcp: readonly TcpEntry[]
}

/** The real engine of a data thread: listeners, HTTP connections, the path, its log and its counters. */
export class EdgeEngine implements ThreadEngine {
  readonly #host: EngineHost
  readonly #wheel = new TimerWheel(() => performance.now())
  readonly #listeners = new ListenerSet()
  readonly #ids = new RequestIds()
  readonly #compiler: SnapshotCompiler
  /** What connections obey, by listener: they keep the object, so a reload changes its fields. */
  #connections = new Map<string, ConnectionSettings>()
  #recorder: Recorder | null = null
  #handler: Handler | null = null
  #entry: H1Entry | null = null
  #accessLog: AccessLog | null = null
  #accessLogPath: string | null = null
  #tracing: Tracing = new PassOn()
  #otlp: string | null = null
  #candidate: Candidate | null = null
  /** The listeners in tcp mode, and those of before reloads that still have connections. */
  #tcp: TcpEntry[] = []

  constructor(host: EngineHost) {
    this.#host = host
    this.#compiler = new SnapshotCompiler(host, this.#wheel, (upstream, endpoint, status) => {
      const recorder = this.#recorder as Recorder
      // Numbers stay the same over reloads.
      if (endpoint.metric === -2) endpoint.metric = recorder.endpointNumber(upstream, endpoint.label)
      recorder.attemptEnded(endpoint.metric, status)
    })
    let due = performance.now() + this.#wheel.tickMs
    setInterval(() => {
      const now = performance.now()
      this.#recorder?.loopLag(Math.max(0, now - due))
      due = now + this.#wheel.tickMs
      this.#wheel.advance()
    }, this.#wheel.tickMs).unref()
  }

  async prepare({ generation, config, shared, metrics }: Preparation): Promise<readonly string[]> {
    await this.abort()
    const recorder = this.#record(metrics)
    let compiled: CompiledConfig | null = null
    try {
      compiled = this.#compiler.compile(generation, config, shared)
      const settings = new Map<string, ConnectionSettings>()
      const tcp: TcpEntry[] = []
      const plans = this.#plan(config, shared, settings, tcp, recorder)
      const path = config.telemetry.accessLog?.path ?? null
      const accessLog = path === this.#accessLogPath ? this.#accessLog : this.#openLog(path, shared, recorder)
      const otlp = config.telemetry.traces?.otlp ?? null
      const tracing = otlp === this.#otlp ? this.#tracing : await this.#createTracing(otlp, recorder)
      this.#candidate = { compiled, plans, accessLog, accessLogPath: path, tracing, otlp, settings, tcp }
      return []
    } catch (error) {
      compiled?.abort()
      return [error instanceof Error ? error.message : String(error)]
    }
  }

  async listen(ports: Readonly<Record<string, number>>): Promise<ListenResult> {
    return this.#listeners.open(this.#candidate?.plans ?? [], ports)
  }

  async commit(endpoints: EndpointTable): Promise<void> {
    const candidate = this.#candidate
    if (candidate === null) return
    this.#candidate = null
    const { compiled, plans, accessLog, accessLogPath, tracing, otlp, settings } = candidate
    compiled.commit(endpoints)
    const before = this.#accessLog
    this.#accessLog = accessLog
    this.#accessLogPath = accessLogPath
    const tracingBefore = this.#tracing
    this.#tracing = tracing
    this.#otlp = otlp
    if (this.#handler === null) this.#start(compiled.snapshot)
    else this.#handler.snapshot = compiled.snapshot
    this.#adopt(settings)
    this.#tcp = [...this.#tcp.filter((entry) => entry.open > 0), ...candidate.tcp]
    await this.#listeners.commit(plans)
    if (before !== accessLog) await before?.close()
    if (tracingBefore !== tracing) await tracingBefore.close()
  }

  async abort(): Promise<void> {
    const candidate = this.#candidate
    this.#candidate = null
    await this.#listeners.abort()
    candidate?.compiled.abort()
    if (candidate !== null && candidate.accessLog !== this.#accessLog) await candidate.accessLog?.close()
    if (candidate !== null && candidate.tracing !== this.#tracing) await candidate.tracing.close()
  }

  async drain(timeoutMs: number): Promise<number> {
    const left = await this.#listeners.drain(timeoutMs)
    this.cut()
    return left
  }

  cut(): void {
    this.#entry?.abortAll('draining')
    for (const tcp of this.#tcp) tcp.abortAll('draining')
  }

  stats(): ThreadStats {
    return { connections: this.#listeners.connections, heapBytes: process.memoryUsage().heapUsed }
  }

  setEndpoints(change: EndpointsChange): void {
    this.#compiler.setEndpoints(change)
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#listeners.setTicketKeys(Buffer.from(keys))
  }

  reopenLogs(): void {
    void this.#accessLog?.reopen()
  }

  async closeLogs(deadlineMs: number): Promise<void> {
    await Promise.all([this.#accessLog?.close(deadlineMs), this.#tracing.close(deadlineMs)])
  }

  #record(grant: MetricGrant | null): Recorder {
    if (this.#recorder === null) {
      if (grant === null) throw new Error('a new thread needs cells to count in')
      this.#recorder = new Recorder(grant)
    } else if (grant !== null) {
      this.#recorder.adopt(grant)
    }
    return this.#recorder
  }

  #start(snapshot: Snapshot): void {
    this.#handler = new Handler(snapshot, {
      now: () => performance.timeOrigin + this.#wheel.now(),
      random: Math.random,
      nextId: () => this.#ids.next(),
      date: dateField,
      onStart: (exchange) => this.#tracing.startSpan(exchange),
      onEnd: (exchange) => this.#ended(exchange),
      onDefect: (error) =>
        this.#host.log('error', 'defect', error instanceof Error ? (error.stack ?? error.message) : String(error)),
    })
    this.#entry = new H1Entry(this.#handler, this.#wheel)
  }

  #ended(exchange: Exchange): void {
    const recorder = this.#recorder as Recorder
    const route = exchange.route === null ? -1 : recorder.routeNumber(exchange.route.name)
    const upstream = exchange.upstream === null ? -1 : recorder.upstreamNumber(exchange.upstream)
    recorder.exchangeEnded(exchange, route, upstream)
    this.#accessLog?.write(exchange)
    this.#tracing.endSpan(exchange)
  }

  #createTracing(otlp: string | null, recorder: Recorder): Promise<Tracing> {
    if (otlp === null) return createTracing(null)
    const onDropped = (spans: number, error: Error): void => {
      recorder.spansDropped(spans)
      this.#host.log('warn', 'spans-dropped', `${spans} spans were not taken by ${otlp}: ${error.message}`)
    }
    return createTracing({ otlp, onDropped })
  }

  /** Null: no access log is wanted. Throws when the file cannot be opened. */
  #openLog(path: string | null, shared: SharedMemory, recorder: Recorder): AccessLog | null {
    if (path === null) return null
    try {
      return new AccessLog({
        path,
        turn: new WriteTurn(shared.accessLogTurn, this.#host.slot + 1),
        onDropped: (lines) => recorder.logLinesDropped('access', lines),
        onProblem: (error) => this.#host.log('error', 'access-log-failing', `access log ${path}: ${error.message}`),
        now: Date.now,
      })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`telemetry.accessLog.path: cannot be opened (${reason})`, { cause: error })
    }
  }

  #plan(
    config: Config,
    shared: SharedMemory,
    next: Map<string, ConnectionSettings>,
    tcp: TcpEntry[],
    recorder: Recorder,
  ): ListenerPlan[] {
    return Object.entries(config.listeners).map(([name, listener]) => {
      const settings = listenerSettings(name, listener)
      const ticketKeys = Buffer.from(new Uint8Array(shared.ticketKeys))
      // Certificates that cannot be used must fail here, not when they are put in force.
      if (settings.tls !== null) createSecureContexts(name, settings.tls, ticketKeys)
      const key = listenerKey(name, listener.address)
      const { slot: thread, threads } = this.#host
      const sockets = this.#host.reusePort ? ACCEPT_SOCKETS : 1
      const wanted = connectionSettings(listener)
      next.set(key, wanted)
      const live = this.#connections.get(key) ?? wanted
      let deliver: Deliver
      if (listener.mode === 'tcp') {
        const entry = this.#tcpEntry(name, config, recorder)
        tcp.push(entry)
        deliver = entry.deliver
      } else {
        deliver = this.#httpDeliver(live, recorder.listenerNumber(name), recorder)
      }
      return {
        key,
        settings,
        share: { thread, threads, connectionCells: shared.connections[key], ticketKeys, sockets },
        events: this.#events(name, recorder),
        deliver,
        url: (port) => listenerUrl(listener, port),
        retire: () => {
          live.closing = true
        },
      }
    })
  }

  #adopt(settings: ReadonlyMap<string, ConnectionSettings>): void {
    const before = this.#connections
    this.#connections = new Map()
    for (const [key, wanted] of settings) {
      const live = before.get(key) ?? wanted
      live.limits = wanted.limits
      live.timeouts = wanted.timeouts
      this.#connections.set(key, live)
    }
  }

  #httpDeliver(settings: ConnectionSettings, listener: number, recorder: Recorder): Deliver {
    return (socket, info, firstBytes, slot) => {
      if (info.tls !== null) recorder.handshakeEnded(listener, true)
      this.#entry?.accept(socket, info, firstBytes, slot, settings)
    }
  }

  #tcpEntry(name: string, config: Config, recorder: Recorder): TcpEntry {
    const { upstream = null, timeouts } = config.listeners[name]
    const target = upstream === null ? undefined : config.upstreams[upstream]
    // The configuration was checked: a listener of mode tcp names an upstream that is there.
    if (upstream === null || target === undefined) throw new Error(`listeners.${name}.upstream: there is none`)
    const settings = {
      connectTimeoutMs: target.timeouts.connect,
      idleTimeoutMs: timeouts.idle,
      attempts: target.retry?.attempts ?? TCP_ATTEMPTS,
      proxyProtocol: target.proxyProtocol,
    }
    const listenerNumber = recorder.listenerNumber(name)
    const upstreamNumber = recorder.upstreamNumber(upstream)
    return new TcpEntry(settings, this.#compiler.upstreams, upstream, (record) => {
      const { outcome, attempts, bytesIn, bytesOut, connection, startedMs, durationMs, endpoint } = record
      recorder.tcpEnded(listenerNumber, outcome, bytesIn, bytesOut)
      if (attempts > 1) recorder.tcpRetried(upstreamNumber, attempts - 1)
      this.#accessLog?.writeConnection({
        id: this.#ids.next(),
        startedMs,
        client: connection.peerIp,
        outcome,
        upstream,
        endpoint,
        attempts,
        durationMs,
        upstreamMs: null,
        bytesIn,
        bytesOut,
      })
    })
  }

  #events(name: string, recorder: Recorder): ListenerEvents {
    const number = recorder.listenerNumber(name)
    return {
      onAccepted: () => recorder.connectionOpened(number),
      onClosed: () => recorder.connectionClosed(number),
      onRefused: (reason) => recorder.connectionRefused(reason),
      onHandshakeFailed: (reason) => {
        recorder.handshakeEnded(number, false)
        recorder.connectionRefused(reason)
      },
      onError: (error) => this.#host.log('error', 'accept-failing', `listener ${name}: ${error.message}`),
    }
  }
}
