import type { ConnectionTable } from './connection-table.ts'

/** What the table closes when it needs room: the connection object of the engine. */
export interface IdleClosable {
  /** Closes the connection now. It is idle: no exchange runs on it. */
  closeIdle(): void
}

/** The connections of one client address on one thread. */
export class ClientConnections {
  readonly key: string
  /** Open ones, idle or busy. */
  open = 0
  /** TLS handshakes that run. */
  handshakes = 0
  /** The longest and the shortest idle one. */
  oldestIdle: ConnectionSlot | null = null
  newestIdle: ConnectionSlot | null = null

  constructor(key: string) {
    this.key = key
  }
}

/**
 * The place one open connection takes in the table.
 *
 * Whoever the connection was delivered to calls `markIdle` and `markBusy` as exchanges end and begin, and `release` once when
 * it has ended. All three are O(1) and may be called again without harm.
 */
export class ConnectionSlot {
  readonly table: ConnectionTable
  /** Null while the client is not known yet, or is not counted. */
  client: ClientConnections | null = null
  /** What is closed when room is needed. Set it before `markIdle`. */
  owner: IdleClosable | null = null
  idle = false
  released = false
  handshaking = false
  /** Neighbours in the thread's list of idle connections, oldest first. */
  older: ConnectionSlot | null = null
  newer: ConnectionSlot | null = null
  /** Neighbours in the client's list. */
  clientOlder: ConnectionSlot | null = null
  clientNewer: ConnectionSlot | null = null

  constructor(table: ConnectionTable) {
    this.table = table
  }

  /** No exchange runs: the connection may be closed to make room. */
  markIdle(): void {
    this.table.markIdle(this)
  }

  /** An exchange runs, or bytes of one arrive. */
  markBusy(): void {
    this.table.markBusy(this)
  }

  /** The connection has ended. */
  release(): void {
    this.table.release(this)
  }
}
