import { TimerWheel } from '../base/timer-wheel.ts'
import type { Config, ListenerConfig } from '../config/root.schema.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { ConnectionSettings } from '../http/h1/server-connection.ts'
import type { Deliver } from '../listener/listener.ts'
import type { ListenerEvents } from '../listener/settings.ts'
import { createSecureContexts } from '../listener/tls/secure-context.ts'
import { H1Entry } from '../proxy/h1-entry.ts'
import { Handler } from '../proxy/handle.ts'
import { AccessLog } from '../telemetry/access-log.ts'
import { type MetricGrant, Recorder } from '../telemetry/metrics/recorder.ts'
import { RequestIds } from '../telemetry/request-id.ts'
import { WriteTurn } from '../telemetry/write-turn.ts'
import { dateField } from '../upstream/date-field.ts'
import { connectionSettings, listenerSettings } from './listener-plan.ts'
import { type ListenerPlan, ListenerSet } from './listener-set.ts'
import { listenerKey, listenerUrl } from './listener-url.ts'
import type { EndpointsChange, EndpointTable, Preparation, ThreadStats } from './messages.ts'
import type { SharedMemory } from './shared-memory.ts'
import type { EngineHost, ListenResult, ThreadEngine } from './thread-engine.ts'

/** What the compiler is handed by its thread. */
export interface CompilerInputs {
  readonly host: EngineHost
  readonly wheel: TimerWheel
  readonly recorder: Recorder
}

/** A compiled configuration that is not current yet. */
export interface CompiledConfig {
  readonly snapshot: Snapshot
  /** Delivers the connections of a listener of mode `tcp`; null for a listener of mode `http`. */
  tcpDeliver(listener: string): Deliver | null
  /** It is current: its upstreams get their addresses, what it replaces closes when it is free. */
  commit(endpoints: EndpointTable): void
  abort(): void
}

/** Compiles configurations for one thread, and keeps by name what outlives a reload. */
export interface SnapshotCompiler {
  /** Throws an Error whose message is the problem. */
  compile(generation: number, config: Config, shared: SharedMemory): CompiledConfig
  setEndpoints(change: EndpointsChange): void
}

interface Candidate {
  readonly compiled: CompiledConfig
  readonly plans: readonly ListenerPlan[]
  readonly accessLog: AccessLog | null
  readonly accessLogPath: string | null
}

/** The real engine of a data thread: listeners, HTTP connections, the path, its log and its counters. */
export class EdgeEngine implements ThreadEngine {
  readonly #host: EngineHost
  readonly #wheel = new TimerWheel(() => performance.now())
  readonly #listeners = new ListenerSet()
  readonly #ids = new RequestIds()
  readonly #createCompiler: (inputs: CompilerInputs) => SnapshotCompiler
  #recorder: Recorder | null = null
  #compiler: SnapshotCompiler | null = null
  #handler: Handler | null = null
  #entry: H1Entry | null = null
  #accessLog: AccessLog | null = null
  #accessLogPath: string | null = null
  #candidate: Candidate | null = null

  constructor(host: EngineHost, createCompiler: (inputs: CompilerInputs) => SnapshotCompiler) {
    this.#host = host
    this.#createCompiler = createCompiler
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
    this.#compiler ??= this.#createCompiler({ host: this.#host, wheel: this.#wheel, recorder })
    let compiled: CompiledConfig | null = null
    try {
      compiled = this.#compiler.compile(generation, config, shared)
      const plans = this.#plan(config, shared, compiled, recorder)
      const path = config.telemetry.accessLog?.path ?? null
      const accessLog = path === this.#accessLogPath ? this.#accessLog : this.#openLog(path, shared, recorder)
      this.#candidate = { compiled, plans, accessLog, accessLogPath: path }
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
    const { compiled, plans, accessLog, accessLogPath } = candidate
    compiled.commit(endpoints)
    const before = this.#accessLog
    this.#accessLog = accessLog
    this.#accessLogPath = accessLogPath
    if (this.#handler === null) this.#start(compiled.snapshot)
    else this.#handler.snapshot = compiled.snapshot
    await this.#listeners.commit(plans)
    if (before !== accessLog) await before?.close()
  }

  async abort(): Promise<void> {
    const candidate = this.#candidate
    this.#candidate = null
    await this.#listeners.abort()
    candidate?.compiled.abort()
    if (candidate !== null && candidate.accessLog !== this.#accessLog) await candidate.accessLog?.close()
  }

  drain(timeoutMs: number): Promise<number> {
    return this.#listeners.drain(timeoutMs)
  }

  stats(): ThreadStats {
    return { connections: this.#listeners.connections, heapBytes: process.memoryUsage().heapUsed }
  }

  setEndpoints(change: EndpointsChange): void {
    this.#compiler?.setEndpoints(change)
  }

  setTicketKeys(keys: Uint8Array): void {
    this.#listeners.setTicketKeys(Buffer.from(keys))
  }

  reopenLogs(): void {
    void this.#accessLog?.reopen()
  }

  async closeLogs(deadlineMs: number): Promise<void> {
    await this.#accessLog?.close(deadlineMs)
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
      now: () => performance.timeOrigin + performance.now(),
      random: Math.random,
      nextId: () => this.#ids.next(),
      date: dateField,
      onStart: () => {},
      onEnd: (exchange) => this.#ended(exchange),
      onDefect: (error) =>
        this.#host.log('error', error instanceof Error ? (error.stack ?? error.message) : String(error)),
    })
    this.#entry = new H1Entry(this.#handler, this.#wheel)
  }

  #ended(exchange: Exchange): void {
    const recorder = this.#recorder as Recorder
    const route = exchange.route === null ? -1 : recorder.routeNumber(exchange.route.name)
    const upstream = exchange.upstream === null ? -1 : recorder.upstreamNumber(exchange.upstream)
    recorder.exchangeEnded(exchange, route, upstream)
    this.#accessLog?.write(exchange)
  }

  /** Null: no access log is wanted. Throws when the file cannot be opened. */
  #openLog(path: string | null, shared: SharedMemory, recorder: Recorder): AccessLog | null {
    if (path === null) return null
    try {
      return new AccessLog({
        path,
        turn: new WriteTurn(shared.accessLogTurn, this.#host.slot + 1),
        onDropped: (lines) => recorder.logLinesDropped('access', lines),
        onProblem: (error) => this.#host.log('error', `access log ${path}: ${error.message}`),
        now: Date.now,
      })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`telemetry.accessLog.path: cannot be opened (${reason})`, { cause: error })
    }
  }

  #plan(config: Config, shared: SharedMemory, compiled: CompiledConfig, recorder: Recorder): ListenerPlan[] {
    return Object.entries(config.listeners).map(([name, listener]) => {
      const settings = listenerSettings(name, listener)
      const ticketKeys = Buffer.from(new Uint8Array(shared.ticketKeys))
      // Certificates that cannot be used must fail here, not when they are put in force.
      if (settings.tls !== null) createSecureContexts(name, settings.tls, ticketKeys)
      const key = listenerKey(name, listener.address)
      const { slot: thread, threads } = this.#host
      const connections = connectionSettings(listener)
      return {
        key,
        settings,
        share: { thread, threads, connectionCells: shared.connections[key], ticketKeys },
        events: this.#events(name, recorder),
        deliver: compiled.tcpDeliver(name) ?? this.#httpDeliver(connections),
        url: (port) => listenerUrl(listener as ListenerConfig, port),
        retire: () => {
          connections.closing = true
        },
      }
    })
  }

  #httpDeliver(settings: ConnectionSettings): Deliver {
    return (socket, info, firstBytes, slot) => this.#entry?.accept(socket, info, firstBytes, slot, settings)
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
      onError: (error) => this.#host.log('error', `listener ${name}: ${error.message}`),
    }
  }
}
