import type { ReasonCode } from '../base/errors.ts'
import type { UpstreamFailure } from './transports/http/upstream-connection.ts'

/** The reason code of an exchange that ends with its attempt's failure. */
export const REASON_OF: Readonly<Record<UpstreamFailure, ReasonCode>> = {
  connect: 'upstream-connect-failed',
  'connect-timeout': 'upstream-connect-timeout',
  tls: 'upstream-tls-failed',
  'tls-late': 'upstream-tls-failed',
  reset: 'upstream-reset',
  'response-timeout': 'upstream-response-timeout',
  'body-timeout': 'upstream-body-timeout',
  invalid: 'upstream-response-invalid',
}
