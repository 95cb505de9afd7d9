import type {
  BoundListener,
  EndpointsChange,
  EndpointTable,
  Log,
  Preparation,
  ThreadStart,
  ThreadStats,
} from './messages.ts'

/** What an engine gets from its thread. */
export interface EngineHost extends ThreadStart {
  /** Writes a line to the process log, by way of the main thread. */
  readonly log: Log
  /** Tells of an endpoint that this thread's requests made sit out, for the process log and the metrics. */
  ejected(upstream: string, endpoint: string, forMs: number): void
}

export interface ListenResult {
  /** Every prepared listener that this thread serves, also those that were open before. */
  readonly listeners: readonly BoundListener[]
  /** Addresses that could not be opened, one line each; then nothing new stays open. */
  readonly problems: readonly string[]
}

/**
 * What runs inside a data thread: listeners, connections and the compiled Snapshot. A reload is prepare, listen, then
 * commit or abort; between them the old Snapshot serves every exchange.
 */
export interface ThreadEngine {
  /** Compiles a candidate. Returns one line per problem; none when it can be committed. */
  prepare(preparation: Preparation): Promise<readonly string[]>
  /** Opens the candidate's listeners that are not open yet; connections they get before `commit` wait for it. */
  listen(ports: Readonly<Record<string, number>>): Promise<ListenResult>
  /**
   * Makes the candidate current in one turn, with these addresses of its upstreams, and closes listeners it does not have
   * without cutting an exchange.
   */
  commit(endpoints: EndpointTable): Promise<void>
  /** Drops the candidate and closes what `listen` opened for it. */
  abort(): Promise<void>
  /** Stops accepting and lets what runs finish. Resolves to the number of connections cut at the deadline. */
  drain(timeoutMs: number): Promise<number>
  /** Breaks off what still runs, each exchange with its log line: the process ends at once. */
  cut(): void
  stats(): ThreadStats
  setEndpoints(change: EndpointsChange): void
  setTicketKeys(keys: Uint8Array): void
  reopenLogs(): void
  /** Writes what is buffered and closes the logs. Gives up after `deadlineMs`. */
  closeLogs(deadlineMs: number): Promise<void>
}
