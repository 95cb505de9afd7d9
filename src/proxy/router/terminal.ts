import type { Exchange } from '../../core/exchange.ts'
import { type Entry, entryFits } from './entry.ts'

/**
 * The routes of one path template on one host, by method.
 *
 * `lists[i]` holds what can answer `methods[i]`, best first: routes that name the method, for HEAD then those that name
 * GET, then those for any method; within these more conditions come first.
 */
export interface Terminal {
  /** The only route of the template when it has no condition and no method, which is the usual case; else null. */
  readonly sole: Entry | null
  readonly methods: readonly string[]
  readonly lists: readonly (readonly Entry[])[]
  /** For methods that no route names. */
  readonly any: readonly Entry[]
}

/** Compiles the routes of one template; their order decides between equals. */
export function compileTerminal(entries: readonly Entry[]): Terminal {
  const sorted = entries.toSorted((a, b) => b.conditions - a.conditions)
  const any = sorted.filter((entry) => entry.route.match.methods === null)
  const methods = [...new Set(sorted.flatMap((entry) => entry.route.match.methods ?? []))]
  if (methods.includes('GET') && !methods.includes('HEAD')) methods.push('HEAD')
  const lists = methods.map((method) => {
    const named = sorted.filter((entry) => entry.route.match.methods?.includes(method))
    const viaGet =
      method === 'HEAD' ? sorted.filter((e) => e.route.match.methods?.includes('GET') && !named.includes(e)) : []
    return [...named, ...viaGet, ...any]
  })
  const sole = entries.length === 1 && any.length === 1 && any[0].conditions === 0 ? any[0] : null
  return { sole, methods, lists, any }
}

/** The route of this template that a request takes, or null when method or conditions fit none. */
export function chooseEntry(
  terminal: Terminal,
  exchange: Exchange,
  method: string,
  preflight: string | null,
): Entry | null {
  if (terminal.sole !== null) return terminal.sole
  let list = listFor(terminal, method)
  if (preflight !== null && list === terminal.any) list = listFor(terminal, preflight)
  for (let i = 0; i < list.length; i++) if (entryFits(list[i], exchange)) return list[i]
  return null
}

/** Adds the methods by which a request with these conditions would have found a route here. */
export function collectMethods(terminal: Terminal, exchange: Exchange, into: Set<string>): void {
  for (const [i, method] of terminal.methods.entries()) {
    if (terminal.lists[i].some((entry) => entryFits(entry, exchange))) into.add(method)
  }
}

function listFor(terminal: Terminal, method: string): readonly Entry[] {
  const methods = terminal.methods
  for (let i = 0; i < methods.length; i++) if (methods[i] === method) return terminal.lists[i]
  return terminal.any
}
