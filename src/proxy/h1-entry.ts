import type { Socket } from 'node:net'
import type { ReasonCode } from '../base/errors.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { ConnectionInfo } from '../core/connection-info.ts'
import type { ConnectionSettings } from '../http/h1/connection-settings.ts'
import { type RequestHandler, ServerConnection } from '../http/h1/server-connection.ts'
import type { Handler } from './handle.ts'

/** A connection's place in its listener: told when it falls idle, is busy again, or has ended. */
export interface ConnectionPlace {
  owner: { closeIdle(): void } | null
  markIdle(): void
  markBusy(): void
  release(): void
}

/** Where accepted connections enter the path: one per thread. */
export class H1Entry implements RequestHandler {
  readonly #handler: Handler
  readonly #wheel: TimerWheel
  readonly #open = new Set<ServerConnection>()

  constructor(handler: Handler, wheel: TimerWheel) {
    this.#handler = handler
    this.#wheel = wheel
  }

  /** Serves a connection from here on. `firstBytes` were read of it already. */
  accept(
    socket: Socket,
    info: ConnectionInfo,
    firstBytes: Buffer | null,
    place: ConnectionPlace,
    settings: ConnectionSettings,
  ): void {
    const connection = new ServerConnection(socket, settings, this, this.#wheel, info)
    info.localEnd = connection.socket
    connection.entry = place
    this.#open.add(connection)
    place.owner = connection
    place.markIdle()
    if (firstBytes !== null) connection.onBytes(firstBytes, 0, firstBytes.length)
  }

  /** Breaks off every connection of this thread; what runs on one ends with this code, and so has its log line. */
  abortAll(code: ReasonCode): void {
    for (const connection of this.#open) connection.cut(code)
  }

  onRequest(connection: ServerConnection): void {
    this.#handler.handle(connection.owner as ConnectionInfo, connection)
  }

  onRefusal(connection: ServerConnection, code: ReasonCode): void {
    this.#handler.refuse(connection.owner as ConnectionInfo, connection, code)
  }

  onIdle(connection: ServerConnection, idle: boolean): void {
    const place = connection.entry as ConnectionPlace | null
    if (idle) place?.markIdle()
    else place?.markBusy()
  }

  onClosed(connection: ServerConnection): void {
    this.#open.delete(connection)
    ;(connection.entry as ConnectionPlace | null)?.release()
  }
}
