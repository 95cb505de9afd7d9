import { close, constants, open, openSync, write } from 'node:fs'
import type { WriteTurn } from './write-turn.ts'

/** Lines are written when this many bytes have come together. */
const BATCH_BYTES = 64 * 1024
const SCRATCH_BYTES = BATCH_BYTES + 8 * 1024
/** Lines are written after this time at the latest. */
const FLUSH_MS = 200
/** Lines that may wait while the disk is full or the reader stands still; what comes on top is dropped and counted. */
const WAITING_LIMIT_BYTES = 16 * 1024 * 1024
/** Wait for another thread's write or for a slow reader: this long, doubling up to the limit. */
const BUSY_RETRY_MS = 1
const BUSY_RETRY_LIMIT_MS = 50
const ERROR_RETRY_MS = 100
const NEWLINE = 0x0a

// O_NONBLOCK: a named pipe without a reader must not hang the start, and a full one must not hold a pool thread.
const OPEN_FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

export interface LineWriterSettings {
  /** File to append to, or `-` for stdout. A number is a descriptor that is open already and stays open. */
  readonly path: string | number
  /** Shared with the other threads that write to this file; null when there are none. */
  readonly turn: WriteTurn | null
  /** Called for every line that found no room. */
  readonly onDropped: (lines: number) => void
  /** Called when writing or reopening starts to fail, once until it works again. */
  readonly onProblem: (error: NodeJS.ErrnoException) => void
  /** The line, with its newline, that tells of `lines` lost lines; written when writing works again. */
  readonly lossLine: (lines: number) => string
  /** Latest time from `append` to the write, in ms. Default 200. */
  readonly flushMs?: number
  /** Default 16 MiB. */
  readonly waitingLimitBytes?: number
}

/**
 * Appends lines to a file that other threads append to as well: in batches, asynchronously, one write at a time.
 * Survives a full disk and a slow reader: lines wait up to a limit, are dropped and counted above it, and go on when it works again.
 * Throws from the constructor when the file cannot be opened.
 */
export class LineWriter {
  readonly #settings: LineWriterSettings
  readonly #limit: number
  #fd: number
  readonly #ownsFd: boolean

  /** Lines not yet turned into bytes: joined as one string, because flattening a batch at once is the cheapest way. */
  #pending = ''
  /** The timer runs. It does so from the start, for nothing: a timer that was cleared cannot be started again. */
  #armed = true
  readonly #flushTimer: NodeJS.Timeout

  /** Holds a batch while nothing waits: a new buffer for each would cost as much as the writing. */
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  #scratchInUse = false
  readonly #queue: Buffer[] = []
  #current: Buffer | null = null
  #offset = 0
  #waitingBytes = 0
  #lost = 0

  #writing = false
  #retryTimer: NodeJS.Timeout | null = null
  #busyRetryMs = BUSY_RETRY_MS
  #failing = false

  #nextFd = -1
  #reopening: PromiseWithResolvers<void> | null = null
  #closing: PromiseWithResolvers<void> | null = null

  constructor(settings: LineWriterSettings) {
    this.#settings = settings
    this.#limit = settings.waitingLimitBytes ?? WAITING_LIMIT_BYTES
    const { path } = settings
    this.#ownsFd = typeof path === 'string' && path !== '-'
    this.#fd = typeof path === 'number' ? path : path === '-' ? 1 : openSync(path, OPEN_FLAGS, 0o640)
    this.#flushTimer = setTimeout(this.#flush, settings.flushMs ?? FLUSH_MS).unref()
  }

  /** Takes one line, or several, of ASCII text that ends in a newline. Never waits and never throws. */
  append(line: string): void {
    if (this.#waitingBytes + line.length > this.#limit || this.#closing !== null) {
      this.#lost++
      this.#settings.onDropped(1)
      return
    }
    this.#waitingBytes += line.length
    this.#pending += line
    if (this.#pending.length >= BATCH_BYTES) {
      this.#cut()
      this.#pump()
    } else if (!this.#armed) {
      this.#armed = true
      this.#flushTimer.refresh()
    }
  }

  /** Bytes that are taken and not yet written. */
  get waitingBytes(): number {
    return this.#waitingBytes
  }

  /**
   * Opens the file again by its name, as log rotation needs it after it has moved the old one. Waiting lines go to the new file.
   * Resolves when the new one is in use; when it cannot be opened, the old one stays and `onProblem` is called.
   */
  reopen(): Promise<void> {
    const { path } = this.#settings
    if (!this.#ownsFd || typeof path !== 'string' || this.#closing !== null) return Promise.resolve()
    if (this.#reopening !== null) return this.#reopening.promise
    this.#reopening = Promise.withResolvers()
    open(path, OPEN_FLAGS, 0o640, (error, fd) => {
      if (error !== null) {
        this.#settings.onProblem(error)
        this.#reopened()
        return
      }
      if (this.#closing !== null) {
        close(fd)
        return
      }
      this.#nextFd = fd
      if (!this.#writing) this.#swap()
    })
    return this.#reopening.promise
  }

  /** Writes what waits and closes the file. Resolves when that is done, or after `deadlineMs` with what could not be written lost. */
  close(deadlineMs = 2000): Promise<void> {
    if (this.#closing !== null) return this.#closing.promise
    this.#closing = Promise.withResolvers()
    const deadline = setTimeout(() => this.#closed(), deadlineMs)
    void this.#closing.promise.then(() => clearTimeout(deadline))
    clearTimeout(this.#flushTimer)
    this.#retryTimer?.ref()
    this.#cut()
    this.#pump()
    return this.#closing.promise
  }

  readonly #flush = (): void => {
    this.#armed = false
    this.#cut()
    this.#pump()
  }

  #cut(): void {
    if (this.#pending === '') return
    let batch: Buffer
    if (this.#scratchInUse || this.#pending.length > SCRATCH_BYTES) {
      batch = Buffer.from(this.#pending, 'latin1')
    } else {
      this.#scratchInUse = true
      batch = this.#scratch.subarray(0, this.#scratch.write(this.#pending, 'latin1'))
    }
    this.#queue.push(batch)
    this.#pending = ''
  }

  readonly #pump = (): void => {
    if (this.#writing || this.#retryTimer !== null) return
    if (this.#current === null) {
      const next = this.#queue.shift()
      if (next === undefined) {
        if (this.#closing !== null) this.#closed()
        return
      }
      this.#current = next
      this.#offset = 0
    }
    if (this.#settings.turn !== null && !this.#settings.turn.take()) {
      this.#retryBusy()
      return
    }
    this.#writing = true
    write(this.#fd, this.#current, this.#offset, this.#current.length - this.#offset, null, this.#written)
  }

  readonly #written = (error: NodeJS.ErrnoException | null, bytes: number): void => {
    this.#writing = false
    if (this.#current === null) return
    if (error !== null) this.#failed(error)
    else this.#advance(this.#current, bytes)
    if (this.#nextFd >= 0) this.#swap()
    this.#pump()
  }

  #advance(current: Buffer, bytes: number): void {
    this.#offset += bytes
    this.#waitingBytes -= bytes
    this.#failing = false
    this.#busyRetryMs = BUSY_RETRY_MS
    if (this.#offset < current.length) return
    this.#current = null
    if (current.buffer === this.#scratch.buffer) this.#scratchInUse = false
    this.#settings.turn?.release()
    if (this.#lost === 0) return
    const line = this.#settings.lossLine(this.#lost)
    this.#lost = 0
    this.#queue.unshift(Buffer.from(line, 'latin1'))
    this.#waitingBytes += line.length
  }

  #failed(error: NodeJS.ErrnoException): void {
    // A torn line keeps the turn: nobody may write into its middle.
    if (!this.#isTorn()) this.#settings.turn?.release()
    if (error.code === 'EAGAIN') {
      this.#retryBusy()
      return
    }
    this.#retryLater(ERROR_RETRY_MS)
    if (this.#failing) return
    this.#failing = true
    this.#settings.onProblem(error)
  }

  #isTorn(): boolean {
    return this.#current !== null && this.#offset > 0 && this.#current[this.#offset - 1] !== NEWLINE
  }

  #retryBusy(): void {
    this.#retryLater(this.#busyRetryMs)
    this.#busyRetryMs = Math.min(this.#busyRetryMs * 2, BUSY_RETRY_LIMIT_MS)
  }

  #retryLater(ms: number): void {
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null
      this.#pump()
    }, ms)
    if (this.#closing === null) this.#retryTimer.unref()
  }

  #swap(): void {
    if (this.#current !== null && this.#isTorn()) {
      // The old file keeps a torn line, the new one gets it whole.
      const lineStart = this.#current.lastIndexOf(NEWLINE, this.#offset - 1) + 1
      this.#waitingBytes += this.#offset - lineStart
      this.#offset = lineStart
      this.#settings.turn?.release()
    }
    close(this.#fd)
    this.#fd = this.#nextFd
    this.#nextFd = -1
    this.#reopened()
  }

  #reopened(): void {
    this.#reopening?.resolve()
    this.#reopening = null
  }

  #closed(): void {
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer)
    this.#settings.turn?.release()
    this.#queue.length = 0
    // With a write still under way the descriptor stays open: closing it could hand its number to a socket.
    if (this.#ownsFd && this.#fd >= 0 && !this.#writing) {
      close(this.#fd)
      this.#fd = -1
    }
    this.#reopened()
    this.#closing?.resolve()
  }
}
