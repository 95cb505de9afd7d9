import type { BoundListener } from './messages.ts'

/** What the control socket takes: one JSON object on one line per connection, answered by one line. */
export type ControlRequest = { readonly command: 'status' } | { readonly command: 'reload' }

export interface ControlThread {
  readonly slot: number
  readonly running: boolean
  readonly connections: number
  readonly heapBytes: number
}

export interface StatusReply {
  readonly ok: true
  readonly pid: number
  /** Real path of the configuration file. */
  readonly configFile: string
  readonly generation: number
  readonly draining: boolean
  readonly listeners: readonly BoundListener[]
  readonly threads: readonly ControlThread[]
}

export interface ReloadReply {
  /** True when the new configuration runs; false when the old one still does. */
  readonly ok: boolean
  /** What to show: the problems with line and column, or one line that says what runs now. */
  readonly lines: readonly string[]
  /** There, and true, when the file is not acceptable: no other reason keeps the edge from running it. */
  readonly badConfig?: true
}

/** Longest request in bytes, its line feed included. */
export const MAX_REQUEST_BYTES = 4096
/** Longest answer in bytes: thousands of problem lines. */
export const MAX_REPLY_BYTES = 4 * 1024 * 1024
