import type { Exchange } from '../../core/exchange.ts'
import type { Policy } from '../../core/policy.ts'
import { HOP, IDENTITY, knownFieldByName } from '../../http/field-names.ts'
import { DROPPED, type FieldTable, isFieldValue } from '../../http/field-table.ts'
import type { ResponseHead } from '../../http/message.ts'

/** Changes to the fields of one direction. */
export interface HeaderChanges {
  /** Names and values of fields that replace all of their name. */
  readonly set: readonly (readonly [string, string])[]
  /** Names of fields that are not passed on. */
  readonly remove: readonly string[]
}

export interface HeadersSettings {
  readonly request: HeaderChanges | null
  readonly response: HeaderChanges | null
}

/**
 * Makes the `headers` policy: fields set and removed on the way to the endpoint and on the way back, local replies
 * included. Throws a RangeError with the first problem that `headerProblem` finds.
 */
export function createHeaders(settings: HeadersSettings): Policy {
  const request = compileChanges(settings.request, 'request')
  const response = compileChanges(settings.response, 'response')
  if (request === null) return response === null ? { name: NAME } : new ResponseHeaders(response)
  return response === null ? new RequestHeaders(request) : new BothHeaders(request, response)
}

/** What is wrong with setting a field (or, with value null, removing it) in that direction; null when nothing is. */
export function headerProblem(direction: 'request' | 'response', name: string, value: string | null): string | null {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return `"${name}" is not a header field name`
  const known = knownFieldByName(name)
  if (known !== null) {
    const hop = (known.flags & HOP) !== 0 && (direction === 'request' || (known.flags & IDENTITY) === 0)
    if (hop || ALWAYS_OURS.includes(known.name) || (direction === 'request' && known.name === 'expect')) {
      return `"${name}" is written by the edge itself and cannot be set or removed`
    }
  }
  if (value !== null && !isFieldValue(value)) {
    return `the value of "${name}" holds a control character or one beyond Latin-1`
  }
  return null
}

const NAME = 'headers'
/** The framing of a message and where it goes: changed, they would let one message be read as two. */
const ALWAYS_OURS: readonly string[] = ['host', 'content-length', 'trailer']

/** `names` holds every field to drop, lower case; the fields to add follow as pairs. */
interface CompiledChanges {
  readonly names: readonly string[]
  readonly set: readonly (readonly [string, string])[]
}

class RequestHeaders implements Policy {
  readonly name = NAME
  readonly #request: CompiledChanges

  constructor(request: CompiledChanges) {
    this.#request = request
  }

  onRequestHeaders(exchange: Exchange): undefined {
    changeRequest(exchange.request.fields, this.#request)
  }
}

class ResponseHeaders implements Policy {
  readonly name = NAME
  readonly #response: CompiledChanges

  constructor(response: CompiledChanges) {
    this.#response = response
  }

  onResponseHeaders(_exchange: Exchange, response: ResponseHead): void {
    changeResponse(response.fields, this.#response)
  }
}

class BothHeaders implements Policy {
  readonly name = NAME
  readonly #request: CompiledChanges
  readonly #response: CompiledChanges

  constructor(request: CompiledChanges, response: CompiledChanges) {
    this.#request = request
    this.#response = response
  }

  onRequestHeaders(exchange: Exchange): undefined {
    changeRequest(exchange.request.fields, this.#request)
  }

  onResponseHeaders(_exchange: Exchange, response: ResponseHead): void {
    changeResponse(response.fields, this.#response)
  }
}

function compileChanges(changes: HeaderChanges | null, direction: 'request' | 'response'): CompiledChanges | null {
  if (changes === null || (changes.set.length === 0 && changes.remove.length === 0)) return null
  const names = new Set<string>()
  for (const name of changes.remove) {
    check(headerProblem(direction, name, null))
    names.add(name.toLowerCase())
  }
  for (const [name, value] of changes.set) {
    check(headerProblem(direction, name, value))
    names.add(name.toLowerCase())
  }
  return { names: [...names], set: changes.set.map(([name, value]) => [name, value.trim()] as const) }
}

function check(problem: string | null): void {
  if (problem !== null) throw new RangeError(problem)
}

function changeRequest(fields: FieldTable, changes: CompiledChanges): void {
  const { names, set } = changes
  for (let i = 0; i < names.length; i++) {
    dropSpellings(fields, names[i])
    if (fields.added !== '') fields.remove(names[i])
  }
  for (let i = 0; i < set.length; i++) fields.add(set[i][0], set[i][1])
}

function changeResponse(fields: FieldTable, changes: CompiledChanges): void {
  const { names, set } = changes
  for (let i = 0; i < names.length; i++) fields.remove(names[i])
  for (let i = 0; i < set.length; i++) fields.add(set[i][0], set[i][1])
}

/**
 * Drops every field of that name, spelled with `_` for `-` too: CGI, WSGI and PHP hand both to the application as one,
 * so a client could bring back what was removed or shadow what is set.
 */
function dropSpellings(fields: FieldTable, name: string): void {
  const { at, flags, text, count } = fields
  const length = name.length
  for (let i = 0; i < count; i++) {
    const start = at[i * 4]
    if (at[i * 4 + 1] - start !== length) continue
    let k = 0
    while (k < length && isSameNameByte(text.charCodeAt(start + k), name.charCodeAt(k))) k++
    if (k === length) flags[i] |= DROPPED
  }
}

function isSameNameByte(sent: number, lower: number): boolean {
  if (sent === lower || (sent >= 0x41 && sent <= 0x5a && (sent | 0x20) === lower)) return true
  return (sent === 0x5f || sent === 0x2d) && (lower === 0x5f || lower === 0x2d)
}
