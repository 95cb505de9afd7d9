import { fieldValue, type Request } from './wire.ts'

/** What is wrong with a forwarded request; null when nothing is. */
export type Check = (request: Request) => string | null

/**
 * What must become of what the client sends:
 * - `refused`: a 4xx, 501 or 505, or a closed connection; nothing reaches the endpoint
 * - `forwarded`: exactly one clean request reaches it, and the client gets its answer
 * - `either`: one of these two
 * - `unfinished`: the client stops in the middle and half-closes; the endpoint never sees a whole request
 * - `body-refused`: the head may have been passed on already, but the endpoint never sees a whole request, the client no success
 * - `unreachable`: nothing that an endpoint could read as `/admin` or below reaches it
 * - `sequence`: see `count` and `never`
 */
export type Expectation =
  | 'refused'
  | 'forwarded'
  | 'either'
  | 'unfinished'
  | 'body-refused'
  | 'unreachable'
  | 'sequence'

/** Listeners of the edge under test: as it comes, with small limits, behind a trusted proxy. */
export type ListenerName = 'public' | 'small' | 'behind'

export interface RequestCase {
  readonly id: string
  /** The section that decides, for the reader. */
  readonly rule: string
  /** What is sent, as latin1, in these segments; `{T}` becomes a name of this case alone. */
  readonly pieces: readonly string[]
  readonly expect: Expectation
  readonly listener: ListenerName
  /** Status our edge must refuse with; other proxies are only asked for some refusal. Empty: any refusal. */
  readonly statuses: readonly number[]
  /** Holds for every request that reaches the endpoint. */
  readonly check: Check
  /** `sequence`: least and most requests that may reach the endpoint. */
  readonly count: readonly [number, number]
  /** `sequence`: no target may contain this. */
  readonly never: string | null
}

interface Options {
  statuses?: readonly number[]
  check?: Check
  listener?: ListenerName
  count?: readonly [number, number]
  never?: string
}

const fine: Check = () => null

function define(
  expect: Expectation,
  id: string,
  rule: string,
  raw: string | readonly string[],
  options: Options,
): RequestCase {
  return {
    id,
    rule,
    pieces: typeof raw === 'string' ? [raw] : raw,
    expect,
    listener: options.listener ?? 'public',
    statuses: options.statuses ?? [],
    check: options.check ?? fine,
    count: options.count ?? [0, 0],
    never: options.never ?? null,
  }
}

/** Refused, by our edge with one of these statuses. */
export function refused(id: string, rule: string, raw: string | readonly string[], ...statuses: number[]): RequestCase {
  return define('refused', id, rule, raw, { statuses: statuses.length > 0 ? statuses : [400] })
}

export function forwarded(id: string, rule: string, raw: string | readonly string[], ...checks: Check[]): RequestCase {
  return define('forwarded', id, rule, raw, { check: both(...checks) })
}

export function either(id: string, rule: string, raw: string | readonly string[], ...checks: Check[]): RequestCase {
  return define('either', id, rule, raw, { check: both(...checks) })
}

export function unfinished(id: string, rule: string, raw: string | readonly string[]): RequestCase {
  return define('unfinished', id, rule, raw, {})
}

export function bodyRefused(
  id: string,
  rule: string,
  raw: string | readonly string[],
  ...statuses: number[]
): RequestCase {
  return define('body-refused', id, rule, raw, { statuses: statuses.length > 0 ? statuses : [400] })
}

export function unreachable(id: string, target: string): RequestCase {
  return define('unreachable', id, 'RFC 3986 6.2.2', get(target), {})
}

/** Between `least` and `most` requests reach the endpoint. */
export function sequence(
  id: string,
  rule: string,
  raw: string | readonly string[],
  count: readonly [number, number],
  options: Options = {},
): RequestCase {
  return define('sequence', id, rule, raw, { ...options, count })
}

/** The same case on another listener. */
export function on(listener: ListenerName, testCase: RequestCase): RequestCase {
  return { ...testCase, listener }
}

// --- bytes

export const HOST = 'Host: a.test\r\n'

export function get(target = '/{T}', headers = '', version = 'HTTP/1.1'): string {
  return `GET ${target} ${version}\r\n${HOST}${headers}\r\n`
}

/** A request with these field lines and this body as it is: it says its own length. */
export function post(headers: string, body = '', target = '/{T}', method = 'POST'): string {
  return `${method} ${target} HTTP/1.1\r\n${HOST}${headers}\r\n${body}`
}

export function chunked(body: string, headers = '', target = '/{T}'): string {
  return post(`Transfer-Encoding: chunked\r\n${headers}`, body, target)
}

export function lengthed(body: string, headers = '', target = '/{T}', method = 'POST'): string {
  return post(`Content-Length: ${body.length}\r\n${headers}`, body, target, method)
}

export const HELLO_CHUNKED = '5\r\nhello\r\n0\r\n\r\n'

// --- checks

/** All of these checks. */
export function both(...checks: Check[]): Check {
  return (request) => checks.map((check) => check(request)).find((problem) => problem !== null) ?? null
}

export function bodyIs(text: string): Check {
  return (request) => (request.body === text ? null : `body is ${JSON.stringify(request.body.slice(0, 60))}`)
}

export function targetIs(text: string): Check {
  return (request) => (request.target.startsWith(text) ? null : `target is ${request.target}`)
}

export function targetEnds(text: string): Check {
  return (request) => (request.target.endsWith(text) ? null : `target is ${request.target}`)
}

export function methodIs(text: string): Check {
  return (request) => (request.method === text ? null : `method is ${request.method}`)
}

export function absent(name: string): Check {
  return (request) =>
    fieldValue(request, name) === null ? null : `${name} was forwarded: ${fieldValue(request, name)}`
}

export function present(name: string): Check {
  return (request) => (fieldValue(request, name) === null ? `${name} was lost` : null)
}

export function valueIs(name: string, value: string): Check {
  return (request) =>
    fieldValue(request, name) === value ? null : `${name} is ${JSON.stringify(fieldValue(request, name))}`
}

/** The text occurs in no field, name or value. */
export function nowhere(text: string): Check {
  return (request) => {
    const field = [...request.fields, ...request.trailers].find(({ name, value }) => `${name}: ${value}`.includes(text))
    return field === undefined ? null : `${field.name}: ${field.value} was forwarded`
  }
}

/** No field, however it is spelled with `_` for `-`, names another client than the one that connected. */
export const honestIdentity: Check = both(
  (request) => {
    const last = fieldValue(request, 'x-forwarded-for')?.split(',').at(-1)?.trim()
    return last === '127.0.0.1' ? null : `X-Forwarded-For ends in ${last ?? 'nothing'}`
  },
  nowhere('6.6.6.6'),
  nowhere('evil'),
)
