import { quoteJson } from './json-text.ts'
import { LineWriter } from './line-writer.ts'
import { LogTime } from './log-time.ts'

export type LogLevel = 'info' | 'warn' | 'error'

/** Further fields of a line. Keep secrets out. Names must not be `time`, `level`, `event`, `message` or `leftOut`. */
export type LogFields = Readonly<Record<string, string | number | boolean | null>>

export interface ProcessLogSettings {
  /** Where lines go; default 2, stderr. */
  readonly fd?: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Lines of one event within a second; what comes on top is counted and told at its end. Default 10. */
  readonly perSecond?: number
}

/** A write of this size to a pipe is atomic (POSIX: PIPE_BUF is 4,096 on Linux), so threads may share stderr without a lock. */
const LINE_LIMIT = 4096
const TEXT_LIMIT = 500
const FIELDS_LIMIT = 20
const WINDOW_MS = 1000
/** Events are constants of the code; the bound only guards against a mistake. */
const EVENTS_LIMIT = 500

/** What one event did in the present second. */
interface EventWindow {
  startedMs: number
  lines: number
  leftOut: number
  level: LogLevel
}

/** The edge's own log: one JSON line per event on stderr. Never waits; one instance a thread. */
export class ProcessLog {
  readonly #writer: LineWriter
  readonly #time = new LogTime()
  readonly #now: () => number
  readonly #perSecond: number
  readonly #windows = new Map<string, EventWindow>()
  #timer: NodeJS.Timeout | null = null

  constructor(settings: ProcessLogSettings) {
    this.#now = settings.now
    this.#perSecond = settings.perSecond ?? 10
    this.#writer = new LineWriter({
      path: settings.fd ?? 2,
      turn: null,
      flushMs: 0,
      waitingLimitBytes: 1024 * 1024,
      onDropped: () => {},
      // There is no other place to tell that stderr fails.
      onProblem: () => {},
      lossLine: (lines) => this.#format('warn', 'log-lines-dropped', 'stderr could not take these lines', { lines }),
    })
  }

  /** Something happened that was to be expected. @param event a constant in kebab-case. */
  info(event: string, message: string, fields: LogFields | null = null): void {
    this.#log('info', event, message, fields)
  }

  /** Something happened that somebody may have to look at. */
  warn(event: string, message: string, fields: LogFields | null = null): void {
    this.#log('warn', event, message, fields)
  }

  /** Something failed. */
  error(event: string, message: string, fields: LogFields | null = null): void {
    this.#log('error', event, message, fields)
  }

  /** Writes what waits, the counts of left out lines included; for the end of the process. */
  close(deadlineMs = 500): Promise<void> {
    this.#sweep(true)
    return this.#writer.close(deadlineMs)
  }

  #log(level: LogLevel, event: string, message: string, fields: LogFields | null): void {
    const now = this.#now()
    let window = this.#windows.get(event)
    if (window !== undefined && now - window.startedMs >= WINDOW_MS) {
      this.#end(event, window)
      window = undefined
    }
    if (window === undefined) {
      if (this.#windows.size >= EVENTS_LIMIT) this.#sweep(true)
      window = { startedMs: now, lines: 0, leftOut: 0, level }
      this.#windows.set(event, window)
    }
    if (window.lines >= this.#perSecond) {
      window.leftOut++
      this.#timer ??= setTimeout(() => this.#sweep(false), WINDOW_MS).unref()
      return
    }
    window.lines++
    this.#writer.append(this.#format(level, event, message, fields))
  }

  /** Ends windows whose second is over, or all, and tells what they left out. */
  #sweep(all: boolean): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const now = this.#now()
    for (const [event, window] of this.#windows) {
      if (all || now - window.startedMs >= WINDOW_MS) this.#end(event, window)
      else if (window.leftOut > 0) this.#timer ??= setTimeout(() => this.#sweep(false), WINDOW_MS).unref()
    }
  }

  #end(event: string, window: EventWindow): void {
    this.#windows.delete(event)
    const { level, leftOut } = window
    if (leftOut === 0) return
    this.#writer.append(this.#format(level, event, 'further lines of this event were left out', { leftOut }))
  }

  #format(level: LogLevel, event: string, message: string, fields: LogFields | null): string {
    const start =
      `{"time":"${this.#time.format(this.#now())}","level":"${level}","event":${textOf(event)}` +
      `,"message":${textOf(message)}`
    let rest = ''
    if (fields !== null) {
      for (const [name, value] of Object.entries(fields).slice(0, FIELDS_LIMIT)) {
        const field = `,${textOf(name)}:${jsonOf(value)}`
        if (start.length + rest.length + field.length + 2 > LINE_LIMIT) continue
        rest += field
      }
    }
    return `${start}${rest}}\n`
  }
}

function jsonOf(value: string | number | boolean | null): string {
  if (typeof value === 'string') return textOf(value)
  return typeof value === 'number' && !Number.isFinite(value) ? 'null' : String(value)
}

/** Quoted text, cut so that it stays well below a line's limit also when all of it is escaped. */
function textOf(text: string): string {
  const quoted = quoteJson(text.length > TEXT_LIMIT ? `${text.slice(0, TEXT_LIMIT)}...` : text)
  return quoted.length > TEXT_LIMIT * 2 ? quoteJson(`${text.slice(0, TEXT_LIMIT / 4)}...`) : quoted
}
