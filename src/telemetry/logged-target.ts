import type { Exchange } from '../core/exchange.ts'

/**
 * The path as every log and trace shows it: the normal form, or the target as received where no normal form was made
 * (a refused request); null when nothing was received. The one place that decides this.
 */
export function loggedPath(exchange: Exchange): string | null {
  if (exchange.path !== '') return exchange.path
  const target = exchange.request.target
  if (target === '') return null
  const mark = target.indexOf('?')
  return mark < 0 ? target : target.slice(0, mark)
}

/** The query as every log and trace shows it, without `?`; null when the target has none. The one place that decides this. */
export function loggedQuery(exchange: Exchange): string | null {
  if (exchange.hasQuery) return exchange.query
  if (exchange.path !== '') return null
  const target = exchange.request.target
  const mark = target.indexOf('?')
  return mark < 0 ? null : target.slice(mark + 1)
}
