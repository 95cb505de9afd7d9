import { availableParallelism, totalmem } from 'node:os'
import { type ResourceLimits, Worker } from 'node:worker_threads'
import type { Command, Done, FromThread, Log, Notice, ThreadStart } from './messages.ts'

const MIB = 1024 * 1024

/**
 * Heap limits of one data thread. Old space: half the machine's memory shared among the threads, 256 MiB to 2 GiB, so
 * that a leak ends one thread (which is replaced) and not the process. Young space: 48 MiB, as large as V8 has by
 * itself, since most objects of an exchange die young.
 */
export function threadLimits(threads: number, totalBytes: number = totalmem()): ResourceLimits {
  const share = Math.floor(totalBytes / 2 / MIB / threads)
  return { maxOldGenerationSizeMb: Math.min(2048, Math.max(256, share)), maxYoungGenerationSizeMb: 48 }
}

/** The number of data threads: what was asked for, or one per processor this process may use. At most 256. */
export function threadCount(asked: number | 'auto'): number {
  return Math.min(256, Math.max(1, asked === 'auto' ? availableParallelism() : asked))
}

export interface ThreadPoolOptions {
  readonly size: number
  /** The program of a data thread: a module that calls `runDataThread`. */
  readonly workerFile: URL
  readonly workerData: (slot: number) => ThreadStart
  readonly limits: ResourceLimits
  readonly log: Log
  readonly onEjected: (upstream: string, endpoint: string, forMs: number) => void
  /** A thread ended that was not told to. Its commands were answered with a problem before. */
  readonly onDeath: (slot: number, reason: string) => void
}

interface Thread {
  readonly worker: Worker
  readonly pending: Map<number, { readonly resolve: (done: Done) => void; readonly command: string }>
  reason: string
}

/** The data threads, by slot. Carries commands to them; who replaces a dead one is the caller (see supervisor.ts). */
export class ThreadPool {
  readonly size: number
  readonly #options: ThreadPoolOptions
  readonly #threads: (Thread | null)[]
  #nextId = 1
  #closing = false

  constructor(options: ThreadPoolOptions) {
    this.size = options.size
    this.#options = options
    this.#threads = new Array(options.size).fill(null)
  }

  /** Slots with a running thread, lowest first. */
  get live(): number[] {
    return this.#threads.flatMap((thread, slot) => (thread === null ? [] : [slot]))
  }

  /** Starts a thread in an empty slot. Resolves when it takes commands; false when it died before. */
  start(slot: number): Promise<boolean> {
    if (this.#threads[slot] !== null || this.#closing) return Promise.resolve(false)
    const worker = new Worker(this.#options.workerFile, {
      workerData: this.#options.workerData(slot),
      resourceLimits: this.#options.limits,
      name: `data-${slot}`,
    })
    const thread: Thread = { worker, pending: new Map(), reason: '' }
    this.#threads[slot] = thread
    return new Promise((resolve) => {
      worker.on('message', (message: FromThread) => {
        if (message.kind === 'started') resolve(true)
        else this.#receive(thread, message)
      })
      // An Error of a worker is a copy: its stack is the worker's own.
      worker.on('error', (error) => {
        thread.reason ||= error instanceof Error ? (error.stack ?? error.message) : String(error)
      })
      worker.on('exit', (code) => {
        resolve(false)
        this.#ended(slot, thread, code)
      })
    })
  }

  /** Gives a thread a command. A thread that is not there, or dies first, answers with a problem; never rejects. */
  ask(slot: number, command: Command): Promise<Done> {
    const thread = this.#threads[slot]
    const id = this.#nextId++
    if (thread === null) return Promise.resolve(deadAnswer(id, slot, command.kind))
    return new Promise((resolve) => {
      thread.pending.set(id, { resolve, command: command.kind })
      thread.worker.postMessage({ ...command, id })
    })
  }

  /** Gives all running threads a command; answers in slot order. */
  askAll(command: Command): Promise<Done[]> {
    return Promise.all(this.live.map((slot) => this.ask(slot, command)))
  }

  tell(slot: number, notice: Notice): void {
    this.#threads[slot]?.worker.postMessage(notice)
  }

  tellAll(notice: Notice): void {
    for (const thread of this.#threads) thread?.worker.postMessage(notice)
  }

  /** Ends a thread by force; reported as a death. */
  async terminate(slot: number, reason: string): Promise<void> {
    const thread = this.#threads[slot]
    if (thread === null) return
    thread.reason ||= reason
    await thread.worker.terminate()
  }

  /** Ends all threads for good; no death is reported from here on. */
  async close(): Promise<void> {
    this.#closing = true
    await Promise.all(this.#threads.map((thread) => thread?.worker.terminate()))
  }

  #receive(thread: Thread, message: Exclude<FromThread, { kind: 'started' }>): void {
    switch (message.kind) {
      case 'log':
        this.#options.log(message.level, message.event, message.message)
        break
      case 'ejected':
        this.#options.onEjected(message.upstream, message.endpoint, message.forMs)
        break
      case 'fatal':
        thread.reason ||= message.error
        break
      case 'done':
        thread.pending.get(message.id)?.resolve(message)
        thread.pending.delete(message.id)
    }
  }

  #ended(slot: number, thread: Thread, code: number): void {
    this.#threads[slot] = null
    for (const [id, waiting] of thread.pending) waiting.resolve(deadAnswer(id, slot, waiting.command))
    thread.pending.clear()
    if (!this.#closing) this.#options.onDeath(slot, thread.reason || `exit code ${code}`)
  }
}

function deadAnswer(id: number, slot: number, command: string): Done {
  const problems = [`data thread ${slot} died before it could ${command}`]
  return { kind: 'done', id, problems, listeners: [], cut: 0, stats: null }
}
