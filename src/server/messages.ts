/**
 * Every message between the main thread and the data threads. They are copied (structured clone), never shared;
 * what is shared are the `SharedArrayBuffer`s inside. A data thread answers each `Command` with one `done`, in order.
 */
import type { Config } from '../config/root.schema.ts'
import type { MetricGrant } from '../telemetry/metrics/recorder.ts'
import type { EndpointSpec } from '../upstream/endpoints/endpoint-spec.ts'
import type { SharedMemory } from './shared-memory.ts'

/** What a data thread is created with (`workerData`). */
export interface ThreadStart {
  /** 0 to threads - 1: the thread's place in every shared table; a replacement takes the dead one's. */
  readonly slot: number
  readonly threads: number
  /** Bumped by the thread once a second (see heartbeat.ts). */
  readonly heartbeat: SharedArrayBuffer
  /** True when several threads listen on one port. */
  readonly reusePort: boolean
}

/** A listener that accepts: its name and where a client reaches it. */
export interface BoundListener {
  readonly name: string
  /** See `listenerKey`. */
  readonly key: string
  /** `http://127.0.0.1:8080`, `https://…`, `tcp://…` or `unix:/run/edge.sock`; the real port where the file says 0. */
  readonly url: string
  /** 0 for a unix socket. */
  readonly port: number
}

/** The addresses of one upstream, after its names were resolved again. */
export interface EndpointsChange {
  readonly upstream: string
  readonly endpoints: readonly EndpointSpec[]
}

/** Resolved addresses by upstream. */
export type EndpointTable = Readonly<Record<string, readonly EndpointSpec[]>>

/** What a data thread compiles a candidate from. */
export interface Preparation {
  readonly generation: number
  readonly config: Config
  readonly shared: SharedMemory
  /** Cells to count in from now on, this thread's own; null: go on with those it has. */
  readonly metrics: MetricGrant | null
}

/** Asked of a data thread; each is answered by `done` with the same `id`. */
export type Command =
  /** Phase 1 of a reload: check and compile; nothing changes yet. */
  | ({ readonly kind: 'prepare' } & Preparation)
  /** Phase 2: open the prepared listeners that are not open yet. `ports` has the real ports known so far, by `listenerKey`. */
  | { readonly kind: 'listen'; readonly ports: Readonly<Record<string, number>> }
  /** Phase 3: what was prepared is current from here on; listeners that it lacks are closed. */
  | { readonly kind: 'commit'; readonly endpoints: EndpointTable }
  /** Forgets what was prepared and closes what was opened for it. */
  | { readonly kind: 'abort' }
  /** Stops accepting and ends every connection when its exchange is over, by force after `timeoutMs`. Done when none is left. */
  | { readonly kind: 'drain'; readonly timeoutMs: number }
  /** Counts for `sallyport status`. */
  | { readonly kind: 'stats' }

/** Told to a data thread; not answered. */
export type Notice =
  | { readonly kind: 'endpoints'; readonly change: EndpointsChange }
  | { readonly kind: 'reopen-logs' }
  /** 48 bytes; all threads share them, so that a session resumes on any of them. */
  | { readonly kind: 'ticket-keys'; readonly keys: Uint8Array }
  /** The process ends at once: break off what runs, write what is buffered. */
  | { readonly kind: 'close-logs' }

export type CommandMessage = Command & { readonly id: number }
export type ToThread = CommandMessage | Notice

export interface ThreadStats {
  readonly connections: number
  readonly heapBytes: number
}

/** The answer to a command. `problems` empty means that it was done. */
export interface Done {
  readonly kind: 'done'
  readonly id: number
  readonly problems: readonly string[]
  /** After `listen`: every prepared listener that this thread serves. */
  readonly listeners: readonly BoundListener[]
  /** After `drain`: connections that the deadline cut. */
  readonly cut: number
  /** After `stats`. */
  readonly stats: ThreadStats | null
}

export type LogLevel = 'info' | 'warn' | 'error'

/** Writes a line to the process log. `event` is a constant in kebab-case: lines are limited per event and second. */
export type Log = (level: LogLevel, event: string, message: string) => void

export type FromThread =
  | Done
  /** The thread runs and takes commands. */
  | { readonly kind: 'started' }
  /** A line for the process log, which only the main thread writes. */
  | { readonly kind: 'log'; readonly level: LogLevel; readonly event: string; readonly message: string }
  /** Requests of this thread made an endpoint sit out. */
  | { readonly kind: 'ejected'; readonly upstream: string; readonly endpoint: string; readonly forMs: number }
  /** The thread ends itself because of a defect; it is replaced. */
  | { readonly kind: 'fatal'; readonly error: string }
