import type { UpstreamFailure } from './transports/http/upstream-connection.ts'

/** The retry settings of an upstream, made ready for the path. */
export interface RetryRules {
  /** Attempts in all, the first one counts. */
  readonly attempts: number
  /** `connect`, `reset`, `timeout` and statuses such as `502`. */
  readonly on: ReadonlySet<string>
}

/** Methods whose repetition does no harm (RFC 9110 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}

/**
 * Whether a failed attempt may be repeated by the settings.
 *
 * Before the connection stood nothing of the request was sent: any method may go elsewhere. After that only idempotent
 * methods, and only while no byte of a request body was sent: it cannot be sent again.
 */
export function mayRetry(
  settings: RetryRules | null,
  failure: UpstreamFailure | number,
  method: string,
  bodySent: boolean,
  attempts: number,
): boolean {
  if (settings === null || attempts >= settings.attempts) return false
  if (typeof failure === 'number') return !bodySent && isIdempotent(method) && settings.on.has(String(failure))
  switch (failure) {
    case 'connect':
    case 'connect-timeout':
    case 'tls':
      return settings.on.has('connect')
    case 'reset':
    case 'tls-late':
      return !bodySent && isIdempotent(method) && settings.on.has('reset')
    case 'response-timeout':
      return !bodySent && isIdempotent(method) && settings.on.has('timeout')
    default:
      return false
  }
}
