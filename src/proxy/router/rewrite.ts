import type { Exchange } from '../../core/exchange.ts'
import type { Rewrite } from '../../core/route.ts'
import { normalisePath, recode } from '../path/normalise.ts'
import { utf8Bytes } from '../path/percent.ts'
import { compilePattern, type Pattern, writePattern } from './pattern.ts'
import { parseTemplate } from './template.ts'

/** Writes the request target that an endpoint is sent. */
export interface TargetWriter {
  /** Path and query of a matched exchange in origin-form, or `*`; the query is what the client sent. */
  write(exchange: Exchange): string
}

/**
 * Compiles a route's `rewrite.path`, such as `/v2/orders/{id}`, or `/v2/*` for a route that ends in `/*`.
 * Without one the path is kept. Throws a RangeError for names that `routePath` lacks and for text that is no path.
 */
export function compileRewrite(rewrite: Rewrite | null, routePath: string): TargetWriter {
  const path = rewrite?.path ?? null
  if (path === null) return KEEP
  if (!path.startsWith('/')) throw new RangeError(`rewrite.path "${path}" does not begin with /`)
  if (/[?#]/.test(path)) throw new RangeError(`rewrite.path "${path}" holds "?" or "#"; the query is always kept`)
  const pattern = compilePattern(path, parseTemplate(routePath), [])
  if (pattern.texts.some((text) => text.includes('*'))) {
    throw new RangeError(`rewrite.path "${path}": * may only be the last segment`)
  }
  const texts = pattern.texts.map((text) => recode(utf8Bytes(text)))
  const whole = texts.map((text) => text.path).join('x')
  if (texts.some((text) => text.refusal !== null) || normalisePath(whole).path !== whole) {
    throw new RangeError(`rewrite.path "${path}" is not a path in normal form`)
  }
  return new PatternWriter({ ...pattern, texts: texts.map((text) => text.path) })
}

/** Appends the query of an exchange to a path. */
export function withQuery(path: string, exchange: Exchange): string {
  return exchange.hasQuery ? `${path}?${exchange.query}` : path
}

const KEEP: TargetWriter = { write: (exchange) => withQuery(exchange.path, exchange) }

class PatternWriter implements TargetWriter {
  readonly #pattern: Pattern

  constructor(pattern: Pattern) {
    this.#pattern = pattern
  }

  write(exchange: Exchange): string {
    // `*` has no path to rewrite; it is a question about the server (RFC 9110 9.3.7).
    if (exchange.path === '*') return '*'
    return withQuery(writePattern(this.#pattern, exchange) || '/', exchange)
  }
}
