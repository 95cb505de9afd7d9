import { fieldValue, type Response } from './wire.ts'

export type ResponseCheck = (response: Response) => string | null

/** What an endpoint sends, and what must become of it. */
export interface ResponseCase {
  readonly id: string
  /** The section that decides, for the reader. */
  readonly rule: string
  /** Sent by the endpoint in these segments, as latin1. */
  readonly pieces: readonly string[]
  /** What the endpoint does with its connection afterwards. */
  readonly after: 'keep' | 'close' | 'reset'
  readonly method: string
  readonly version: string
  /** `relayed`: with this body; `refused`: a 502 or a cut connection, never something that looks whole; `either`. */
  readonly expect: 'relayed' | 'refused' | 'either'
  readonly body: string
  readonly check: ResponseCheck
}

type Sent =
  | string
  | readonly string[]
  | {
      readonly raw: string
      readonly after?: ResponseCase['after']
      readonly method?: string
      readonly version?: string
    }

function define(
  expect: ResponseCase['expect'],
  id: string,
  rule: string,
  sent: Sent,
  body: string,
  checks: readonly ResponseCheck[],
): ResponseCase {
  const whole = typeof sent === 'string' || 'length' in sent ? { raw: '' } : sent
  const pieces = typeof sent === 'string' ? [sent] : 'length' in sent ? sent : [sent.raw]
  return {
    id: `resp-${id}`,
    rule,
    pieces,
    after: whole.after ?? 'keep',
    method: whole.method ?? 'GET',
    version: whole.version ?? 'HTTP/1.1',
    expect,
    body,
    check: (response) => checks.map((check) => check(response)).find((problem) => problem !== null) ?? null,
  }
}

export function relayed(id: string, rule: string, sent: Sent, body: string, ...checks: ResponseCheck[]): ResponseCase {
  return define('relayed', id, rule, sent, body, checks)
}

export function relayedOrRefused(
  id: string,
  rule: string,
  sent: Sent,
  body: string,
  ...checks: ResponseCheck[]
): ResponseCase {
  return define('either', id, rule, sent, body, checks)
}

export function refusedResponse(id: string, rule: string, sent: Sent): ResponseCase {
  return define('refused', id, rule, sent, '', [])
}

export function statusIs(status: number): ResponseCheck {
  return (response) => (response.status === status ? null : `status ${response.status}`)
}

export function fieldIs(name: string, value: string): ResponseCheck {
  return (response) =>
    fieldValue(response, name) === value ? null : `${name} is ${JSON.stringify(fieldValue(response, name))}`
}

export function fieldAbsent(name: string): ResponseCheck {
  return (response) => (fieldValue(response, name) === null ? null : `${name} was relayed`)
}
