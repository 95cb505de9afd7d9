import { realpathSync } from 'node:fs'
import type { Config } from '../config/root.schema.ts'
import type { ReloadReply, StatusReply } from './control-messages.ts'
import { controlPlace } from './control-path.ts'
import { type ControlSocket, openControlSocket } from './control-socket.ts'
import { drainThreads } from './drain.ts'
import type { MainService } from './main-service.ts'
import type { EndpointTable, Log, Notice } from './messages.ts'
import { type ApplyResult, Reloader } from './reload.ts'
import { supportsReusePort } from './reuse-port.ts'
import { Serial } from './serial.ts'
import type { MemoryKeeper } from './shared-memory.ts'
import { installSignals } from './signals.ts'
import { Supervisor } from './supervisor.ts'
import { ThreadPool, threadCount, threadLimits } from './thread-pool.ts'
import { startKeyRotation } from './ticket-keys.ts'

/** What the edge itself needs to know of a configuration. */
export interface EdgeSettings {
  readonly threads: number | 'auto'
  readonly listeners: number
  readonly store: string
  readonly drainTimeoutMs: number
}

/** What an edge is made of; `start.ts` has the real parts. */
export interface EdgeParts {
  readonly configFile: string
  /** Reads and checks the file: the configuration, or its problems as they are to be printed. */
  load(): Promise<Config | readonly string[]>
  settingsOf(config: Config): EdgeSettings
  /** A module that calls `runDataThread`. */
  readonly workerFile: URL
  createMemory(threads: number): MemoryKeeper
  createServices(tellThreads: (notice: Notice) => void): MainServices
  readonly log: Log
  /** Writes what waits in the process log; nothing is logged after it. */
  closeLog(): Promise<void>
  /** One line to stdout. */
  print(line: string): void
  /** One problem line to stderr. */
  complain(line: string): void
  /** See `RestartPolicy`. */
  readonly maxDeaths?: number
}

export interface MainServices {
  /** In the order in which they prepare. */
  readonly list: readonly MainService[]
  /** See `ReloaderOptions`. */
  readonly endpoints: () => EndpointTable
  /** See `EngineHost`. */
  readonly onEjected: (upstream: string, endpoint: string, forMs: number) => void
}

/** Exit codes of `sallyport run`. */
export const EXIT = {
  /** Drained after SIGTERM or SIGINT, also when the deadline cut connections. */
  drained: 0,
  /** Could not start, threads kept dying, a defect in the main thread, or a second signal. */
  failed: 1,
  /** The configuration is not acceptable. */
  badConfig: 2,
} as const

/** How long the threads get to write their logs when the process ends at once. */
const FLUSH_MS = 100

/**
 * One edge: the main thread's side of it. `run` lives as long as the process does, and takes over its signals.
 */
export class Edge {
  readonly #parts: EdgeParts
  readonly #serial = new Serial()
  #pool: ThreadPool | null = null
  #memory: MemoryKeeper | null = null
  #reloader: Reloader | null = null
  #supervisor: Supervisor | null = null
  #services: readonly MainService[] = []
  #control: ControlSocket | null = null
  #stopKeyRotation: (() => void) | null = null
  #settings: EdgeSettings | null = null
  #state: 'starting' | 'ready' | 'draining' | 'ended' = 'starting'
  #reloadWanted = false
  #resolve: (code: number) => void = () => {}
  readonly #ended: Promise<number>

  constructor(parts: EdgeParts) {
    this.#parts = parts
    this.#ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  /** Starts, serves and ends. Resolves to the exit code (`EXIT`); the caller exits with it. */
  async run(): Promise<number> {
    installSignals({
      onStop: (times) => this.#onStop(times),
      onReload: () => this.#onReload(),
      onReopenLogs: () => this.#onReopenLogs(),
      onDefect: (error) => this.#onDefect(error),
    })
    const failure = await this.#start()
    if (failure !== null) await this.#end(failure)
    return this.#ended
  }

  /** Null when it serves, else the exit code. */
  async #start(): Promise<number | null> {
    const parts = this.#parts
    const config = await parts.load()
    if (Array.isArray(config)) return this.#refuse(config)
    const loaded = config as Config
    const settings = parts.settingsOf(loaded)
    this.#settings = settings
    if (settings.listeners === 0) return this.#refuse([`${parts.configFile}: listeners: there is none to listen on`])

    const pool = await this.#startThreads(settings)
    if (pool === null) return EXIT.failed
    const result = await this.#reloader?.apply(async () => loaded)
    if (result === undefined || result.problems.length > 0) {
      if (this.#state === 'starting') for (const problem of result?.problems ?? []) parts.complain(problem)
      return EXIT.failed
    }
    this.#stopKeyRotation = startKeyRotation((keys) => {
      this.#memory?.setTicketKeys(keys)
      pool.tellAll({ kind: 'ticket-keys', keys })
    })
    await this.#openControl(settings.store)
    if (this.#state !== 'starting') return null
    this.#state = 'ready'
    for (const listener of result.listeners) parts.print(`listening ${listener.name} ${listener.url}`)
    parts.print('ready')
    if (this.#reloadWanted) this.#onReload()
    return null
  }

  #refuse(problems: readonly string[]): number {
    for (const problem of problems) this.#parts.complain(problem)
    return EXIT.badConfig
  }

  /** Null when a thread died before it took commands. */
  async #startThreads(settings: EdgeSettings): Promise<ThreadPool | null> {
    const { log, workerFile, createMemory, createServices } = this.#parts
    const reusePort = await supportsReusePort()
    const wanted = threadCount(settings.threads)
    const size = reusePort ? wanted : 1
    if (size < wanted)
      log('warn', 'threads-limited', 'this system cannot share a port among threads: one data thread is used')
    const memory = createMemory(size)
    this.#memory = memory
    const supervisor = new Supervisor({
      serial: this.#serial,
      threads: size,
      maxDeaths: this.#parts.maxDeaths,
      log,
      freeShares: (slot) => memory.freeShares(slot),
      applyTo: (slot) => this.#bringUp(slot),
      giveUp: (message) => {
        log('error', 'threads-dying', message)
        void this.#end(EXIT.failed)
      },
    })
    this.#supervisor = supervisor
    const services = createServices((notice) => this.#pool?.tellAll(notice))
    const pool = new ThreadPool({
      size,
      workerFile,
      workerData: (slot) => ({ slot, threads: size, heartbeat: supervisor.heartbeat, reusePort }),
      limits: threadLimits(size),
      log,
      onEjected: services.onEjected,
      onDeath: (slot, reason) => supervisor.onDeath(slot, reason),
    })
    this.#pool = pool
    const { list, endpoints } = services
    this.#services = list
    this.#reloader = new Reloader({ pool, memory, services: list, endpoints, serial: this.#serial })
    const started = await Promise.all(Array.from({ length: size }, (_, slot) => pool.start(slot)))
    if (started.includes(false)) return null
    supervisor.watch(pool)
    return pool
  }

  async #bringUp(slot: number): Promise<readonly string[]> {
    return this.#reloader?.applyTo(slot) ?? []
  }

  async #openControl(store: string): Promise<void> {
    try {
      this.#control = await openControlSocket(controlPlace(this.#parts.configFile, store), {
        status: () => this.#status(),
        reload: () => this.#reload(),
      })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#parts.log('warn', 'control-socket-missing', `no control socket, so only SIGHUP reloads: ${reason}`)
    }
  }

  async #reload(): Promise<ReloadReply> {
    const reloader = this.#reloader
    if (reloader === null || this.#state !== 'ready') return { ok: false, lines: [`the edge is ${this.#state}`] }
    const { log, load, settingsOf } = this.#parts
    const before = this.#settings
    // Told apart from an edge that cannot do what an acceptable file asks for.
    let ofFile: readonly string[] = []
    const result: ApplyResult = await reloader.apply(async () => {
      if (this.#state !== 'ready') return ['the edge shuts down']
      const config = await load()
      if (Array.isArray(config)) {
        ofFile = config as readonly string[]
        return ofFile
      }
      const settings = settingsOf(config as Config)
      if (settings.listeners === 0) {
        ofFile = ['listeners: there is none to listen on']
        return ofFile
      }
      this.#settings = settings
      return config
    })
    if (result.problems.length > 0) {
      this.#settings = before
      for (const problem of result.problems) log('error', 'reload-problem', problem)
      log('error', 'reload-refused', `reload refused: generation ${result.generation} goes on`)
      return { ok: false, lines: result.problems, ...(result.problems === ofFile && { badConfig: true }) }
    }
    const line = `reloaded: generation ${result.generation}`
    log('info', 'reloaded', line)
    return { ok: true, lines: [line] }
  }

  async #status(): Promise<StatusReply> {
    const pool = this.#pool
    const current = this.#reloader?.current
    const draining = this.#state !== 'ready'
    const threads = []
    for (let slot = 0; pool !== null && slot < pool.size; slot++) {
      // A thread that drains answers when it is done, which is too late here.
      const stats = draining ? null : (await pool.ask(slot, { kind: 'stats' })).stats
      const { connections, heapBytes } = stats ?? { connections: 0, heapBytes: 0 }
      threads.push({ slot, running: pool.live.includes(slot), connections, heapBytes })
    }
    return {
      ok: true,
      pid: process.pid,
      configFile: realpathSync(this.#parts.configFile),
      generation: current?.generation ?? 0,
      draining,
      listeners: current?.listeners ?? [],
      threads,
    }
  }

  #onReload(): void {
    if (this.#state === 'starting') this.#reloadWanted = true
    else void this.#reload()
  }

  #onReopenLogs(): void {
    this.#pool?.tellAll({ kind: 'reopen-logs' })
  }

  #onStop(times: number): void {
    if (times > 1) {
      this.#parts.log('warn', 'stopped', 'second signal: ending at once')
      this.#exitSoon()
      return
    }
    const serving = this.#state === 'ready'
    this.#state = 'draining'
    this.#supervisor?.stop()
    if (serving) void this.#serial.run(() => this.#drain())
    else void this.#end(EXIT.drained)
  }

  async #drain(): Promise<void> {
    const pool = this.#pool
    const timeoutMs = this.#settings?.drainTimeoutMs ?? 0
    if (pool !== null) await drainThreads({ pool, timeoutMs, log: this.#parts.log })
    await this.#end(EXIT.drained)
  }

  #onDefect(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#parts.log('error', 'defect', `defect in the main thread, the process ends: ${text}`)
    this.#exitSoon()
  }

  /** Not by `#end`: what is broken must not be asked to close in order. */
  #exitSoon(): void {
    // A drain that comes to its end in the meantime has not gone well.
    this.#state = 'ended'
    this.#control?.close()
    this.#pool?.tellAll({ kind: 'close-logs' })
    setTimeout(() => process.exit(EXIT.failed), FLUSH_MS)
  }

  async #end(code: number): Promise<void> {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#supervisor?.stop()
    this.#stopKeyRotation?.()
    this.#control?.close()
    await Promise.all(this.#services.map((service) => service.close()))
    await this.#pool?.close()
    await this.#parts.closeLog()
    this.#resolve(code)
  }
}
