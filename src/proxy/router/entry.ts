import type { Exchange } from '../../core/exchange.ts'
import type { Route } from '../../core/route.ts'
import { type CompiledQuery, compileQuery, queryHolds } from './query.ts'
import type { TemplateSegment } from './template.ts'

/** A route as the router holds it. */
export interface Entry {
  readonly route: Route
  /** Bit i is set where segment i of the template is a name. */
  readonly names: number
  /** Whether the last name is `{rest+}`. */
  readonly rest: boolean
  /** Number of conditions beyond host, path and method. */
  readonly conditions: number
  readonly query: CompiledQuery
}

/** Compiles one route whose path was read into `segments`. */
export function compileEntry(route: Route, segments: readonly TemplateSegment[]): Entry {
  let names = 0
  for (const [i, { kind }] of segments.entries()) if (kind === 'name' || kind === 'rest') names |= 1 << i
  const { headers, query, from } = route.match
  return {
    route,
    names,
    rest: segments[segments.length - 1].kind === 'rest',
    conditions: headers.length + query.length + (from === null ? 0 : 1),
    query: compileQuery(query),
  }
}

/** Whether a request meets the entry's conditions on header fields, query and source. */
export function entryFits(entry: Entry, exchange: Exchange): boolean {
  if (entry.conditions === 0) return true
  const { headers, from } = entry.route.match
  if (from !== null && !from.contains(exchange.client)) return false
  for (let i = 0; i < headers.length; i++) {
    if (exchange.request.fields.get(headers[i][0]) !== headers[i][1]) return false
  }
  return queryHolds(entry.query, exchange.query)
}

/** The values of the entry's names in a path that it matched, as they stand in the path; null without names. */
export function paramsOf(entry: Entry, path: string): string[] | null {
  let names = entry.names
  if (names === 0) return null
  const params: string[] = []
  for (let at = 1; names !== 0; names >>>= 1) {
    const end = names === 1 && entry.rest ? -1 : path.indexOf('/', at)
    if ((names & 1) !== 0) params.push(end < 0 ? path.slice(at) : path.slice(at, end))
    at = end + 1
  }
  return params
}
