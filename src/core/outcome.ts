import { REASON_CODES, type ReasonCode } from '../base/errors.ts'

/** Why an exchange ended: `ok` when the endpoint's answer was passed on whole, else a reason code. */
export type Outcome = 'ok' | ReasonCode

/** Every outcome; the index is its number in metrics cells. `ok` is 0. */
export const OUTCOMES: readonly Outcome[] = ['ok', ...REASON_CODES]
