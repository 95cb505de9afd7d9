import type { Config } from '../config/root.schema.ts'
import type { MainService } from './main-service.ts'
import type { BoundListener, Done, EndpointTable } from './messages.ts'
import type { Serial } from './serial.ts'
import type { MemoryKeeper, SharedMemory } from './shared-memory.ts'
import type { ThreadPool } from './thread-pool.ts'

/** The configuration that runs. */
export interface Applied {
  /** 1 at the start, one more with each reload. */
  readonly generation: number
  readonly config: Config
  readonly shared: SharedMemory
  readonly listeners: readonly BoundListener[]
}

/** What came of an attempt to apply a configuration; with problems, nothing changed. */
export interface ApplyResult {
  readonly generation: number
  readonly problems: readonly string[]
  readonly listeners: readonly BoundListener[]
}

export interface ReloaderOptions {
  readonly pool: ThreadPool
  readonly memory: MemoryKeeper
  readonly services: readonly MainService[]
  /** The addresses of the upstreams of the configuration that the services committed last, as they are known now. */
  readonly endpoints: () => EndpointTable
  /** Shared with everything else that must not happen during a reload. */
  readonly serial: Serial
}

/**
 * Brings a configuration into all data threads, or into none.
 *
 * Phases: the services of the main thread prepare; every thread compiles it; every thread opens its new listeners (the
 * first one settles the ports that the file leaves open). Only when all of that worked does one message per thread make
 * it current. Any problem before that point takes everything back.
 */
export class Reloader {
  readonly #options: ReloaderOptions
  #current: Applied | null = null

  constructor(options: ReloaderOptions) {
    this.#options = options
  }

  get current(): Applied | null {
    return this.#current
  }

  /** Applies what `load` gives, after the applications before it. `load` runs when its turn has come: the last file wins. */
  apply(load: () => Promise<Config | readonly string[]>): Promise<ApplyResult> {
    return this.#options.serial.run(async () => {
      const loaded = await load()
      return isProblems(loaded) ? this.#failed(loaded) : this.#applyNow(loaded)
    })
  }

  /** Brings the current configuration into one thread that was just started. Call it inside `serial`. */
  async applyTo(slot: number): Promise<readonly string[]> {
    const current = this.#current
    if (current === null) return ['there is no configuration yet']
    const { pool, memory } = this.#options
    const { generation, config, shared } = current
    const metrics = memory.metricsFor(slot)
    const prepared = await pool.ask(slot, { kind: 'prepare', generation, config, shared, metrics })
    if (prepared.problems.length > 0) return prepared.problems
    const opened = await pool.ask(slot, { kind: 'listen', ports: portsOf(current.listeners) })
    if (opened.problems.length > 0) return opened.problems
    return (await pool.ask(slot, { kind: 'commit', endpoints: this.#options.endpoints() })).problems
  }

  async #applyNow(config: Config): Promise<ApplyResult> {
    const { pool, memory, services } = this.#options
    const generation = (this.#current?.generation ?? 0) + 1
    const slots = pool.live
    if (slots.length === 0) return this.#failed(['no data thread runs'])
    const shared = memory.prepare(config)
    const problems: string[] = []
    for (const service of services) problems.push(...(await service.prepare(config, shared)))
    if (problems.length > 0) return this.#takeBack(problems)

    const prepared = slots.map((slot) =>
      pool.ask(slot, { kind: 'prepare', generation, config, shared, metrics: memory.metricsFor(slot) }),
    )
    problems.push(...problemsOf(await Promise.all(prepared)))
    if (problems.length > 0) return this.#takeBack(problems)

    const listeners = await this.#listen(slots, problems)
    if (problems.length > 0) return this.#takeBack(problems)

    // From here on there is no way back: a thread that fails now has died, and its replacement gets this configuration.
    this.#current = { generation, config, shared, listeners }
    memory.commit()
    // The services first: the resolver has new addresses to give to the threads.
    for (const service of services) await service.commit()
    const endpoints = this.#options.endpoints()
    await Promise.all(slots.map((slot) => pool.ask(slot, { kind: 'commit', endpoints })))
    return { generation, problems: [], listeners }
  }

  async #listen(slots: readonly number[], problems: string[]): Promise<readonly BoundListener[]> {
    const { pool } = this.#options
    const ports = portsOf(this.#current?.listeners ?? [])
    const first = await pool.ask(slots[0], { kind: 'listen', ports })
    problems.push(...first.problems)
    if (problems.length > 0) return []
    const settled = { ...ports, ...portsOf(first.listeners) }
    const others = await Promise.all(slots.slice(1).map((slot) => pool.ask(slot, { kind: 'listen', ports: settled })))
    problems.push(...problemsOf(others))
    return first.listeners
  }

  async #takeBack(problems: readonly string[]): Promise<ApplyResult> {
    const { pool, memory, services } = this.#options
    memory.abort()
    await Promise.all([pool.askAll({ kind: 'abort' }), ...services.map((service) => service.abort())])
    return this.#failed(problems)
  }

  #failed(problems: readonly string[]): ApplyResult {
    return { generation: this.#current?.generation ?? 0, problems, listeners: this.#current?.listeners ?? [] }
  }
}

function isProblems(loaded: Config | readonly string[]): loaded is readonly string[] {
  return Array.isArray(loaded)
}

/** The same problem from several threads is one problem. */
function problemsOf(answers: readonly Done[]): string[] {
  return [...new Set(answers.flatMap((answer) => answer.problems))]
}

function portsOf(listeners: readonly BoundListener[]): Record<string, number> {
  return Object.fromEntries(listeners.map((listener) => [listener.key, listener.port]))
}
