import type { HeadLimits } from '../limits.ts'

/** What a listener gives its connections; its fields are replaced by a reload, the object stays. */
export interface ConnectionSettings {
  limits: HeadLimits
  timeouts: { headMs: number; bodyMs: number; idleMs: number }
  /** Keep-alive ends with the next response: the listener drains. */
  closing: boolean
}
