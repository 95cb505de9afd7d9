import type { Exchange } from '../core/exchange.ts'
import { AccessLine, type LoggedConnection } from './access-line.ts'
import { LineWriter } from './line-writer.ts'
import type { WriteTurn } from './write-turn.ts'

export interface AccessLogSettings {
  /** File, or `-` for stdout. */
  readonly path: string
  /** Shared by the threads that write to the same file; null for a single writer. */
  readonly turn: WriteTurn | null
  readonly onDropped: (lines: number) => void
  readonly onProblem: (error: NodeJS.ErrnoException) => void
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** Writes one JSON line per exchange or connection. One instance a data thread. Throws when the file cannot be opened. */
export class AccessLog {
  readonly #writer: LineWriter
  readonly #line = new AccessLine()

  constructor(settings: AccessLogSettings) {
    const { path, turn, onDropped, onProblem, now } = settings
    const lossLine = (lines: number) => this.#line.formatLoss(lines, now())
    this.#writer = new LineWriter({ path, turn, onDropped, onProblem, lossLine })
  }

  /** Takes the line of an exchange that has ended. Never waits and never throws. */
  write(exchange: Exchange): void {
    this.#writer.append(this.#line.format(exchange))
  }

  /** Takes the line of a TCP-mode connection that has ended. Never waits and never throws. */
  writeConnection(connection: LoggedConnection): void {
    this.#writer.append(this.#line.formatConnection(connection))
  }

  /** Opens the file again by its name: log rotation has moved the old one. Resolves when the new one is in use. */
  reopen(): Promise<void> {
    return this.#writer.reopen()
  }

  /** Writes all lines taken so far and closes the file; gives up after `deadlineMs`, 2,000 without it. */
  close(deadlineMs?: number): Promise<void> {
    return this.#writer.close(deadlineMs)
  }
}
