import type { Exchange } from '../../core/exchange.ts'
import type { TemplateSegment } from './template.ts'

/** What a `{name}` of a pattern stands for: a number counts the route's names, the words come from the request. */
export type Reference = number | 'path' | 'query' | 'host' | 'tail'

/**
 * Text with references, taken apart at load: `texts[0] refs[0] texts[1] …`, with one text more than there are references.
 */
export interface Pattern {
  readonly texts: readonly string[]
  readonly refs: readonly Reference[]
  /** Segments of the route's path before its final `/*`; what lies behind them is the tail. */
  readonly tailFrom: number
}

/**
 * Takes apart a rewrite or redirect for a route's path. `{name}` is one of the path's names or else one of `words`;
 * a final `/*` stands for what the route's own final `/*` matched. Throws a RangeError for what the path does not have.
 */
export function compilePattern(text: string, path: readonly TemplateSegment[], words: readonly Reference[]): Pattern {
  const names = path.filter(({ kind }) => kind === 'name' || kind === 'rest').map((segment) => segment.text)
  const wild = path[path.length - 1].kind === 'all'
  const texts: string[] = []
  const refs: Reference[] = []
  const tail = text.endsWith('/*')
  if (tail && !wild) throw new RangeError(`"${text}" ends with /* but the path of the route does not`)
  const body = tail ? text.slice(0, -2) : text
  let at = 0
  for (const found of body.matchAll(/\{([^{}]*)\}/g)) {
    const name = found[1].endsWith('+') ? found[1].slice(0, -1) : found[1]
    const index = names.indexOf(name)
    const word = words.find((each) => each === name)
    if (index < 0 && word === undefined) {
      throw new RangeError(`"${text}" names {${name}}, which the path of the route does not have`)
    }
    texts.push(body.slice(at, found.index))
    refs.push(index < 0 ? (word as Reference) : index)
    at = found.index + found[0].length
  }
  texts.push(body.slice(at))
  if (tail) {
    refs.push('tail')
    texts.push('')
  }
  if (texts.some((piece) => /[{}]/.test(piece))) throw new RangeError(`"${text}" has a { or } without its partner`)
  return { texts, refs, tailFrom: path.length - 1 }
}

/**
 * Writes a pattern for a request that the route matched. Values stand as they were matched: in normal form, so that they
 * bring no `/`, `?`, `#` or control character with them, but for the slashes inside `{rest+}`, `{path}` and a tail.
 */
export function writePattern(pattern: Pattern, exchange: Exchange): string {
  const { texts, refs } = pattern
  let out = texts[0]
  for (let i = 0; i < refs.length; i++) {
    let value = referenceValue(refs[i], pattern, exchange)
    const next = texts[i + 1]
    // Two slashes would be another path to many endpoints.
    if (value.endsWith('/') && next.startsWith('/')) value = value.slice(0, -1)
    out += value + next
  }
  return out
}

function referenceValue(ref: Reference, pattern: Pattern, exchange: Exchange): string {
  switch (ref) {
    case 'path':
      return exchange.path
    case 'query':
      return exchange.query
    case 'host':
      return exchange.host
    case 'tail':
      return tailOf(exchange.path, pattern.tailFrom)
    default:
      return exchange.params?.[ref] ?? ''
  }
}

/** What follows the first segments of a path, with its slash; '' when nothing does. */
function tailOf(path: string, segments: number): string {
  let at = 0
  for (let i = 0; i < segments && at >= 0; i++) at = path.indexOf('/', at + 1)
  return at < 0 ? '' : path.slice(at)
}
