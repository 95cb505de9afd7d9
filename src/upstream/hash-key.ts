import type { Exchange } from '../core/exchange.ts'
import { hashText } from './balancers/hash-text.ts'

/** What a consistent hash is made of: `client`, or a header, cookie or query parameter by name. */
export type HashBy =
  | { readonly kind: 'client' }
  | { readonly kind: 'header' | 'cookie' | 'query'; readonly name: string }

/** Hash of the caller's key for the balancer; callers without the named value are spread by their address. */
export function hashOf(by: HashBy, exchange: Exchange): number {
  const value = by.kind === 'client' ? null : namedValue(by.kind, by.name, exchange)
  return hashText(value ?? exchange.client)
}

function namedValue(kind: 'header' | 'cookie' | 'query', name: string, exchange: Exchange): string | null {
  if (kind === 'header') return exchange.request.fields.get(name)
  if (kind === 'query') return parameter(exchange.query, '&', name)
  const cookies = exchange.request.fields.get('cookie')
  return cookies === null ? null : parameter(cookies, ';', name)
}

/** The raw value of `name=` in a list; the first one counts. */
function parameter(list: string, separator: string, name: string): string | null {
  let from = 0
  while (from < list.length) {
    let end = list.indexOf(separator, from)
    if (end < 0) end = list.length
    while (list.charCodeAt(from) === 0x20) from++
    if (list.startsWith(name, from) && list.charCodeAt(from + name.length) === 0x3d) {
      return list.slice(from + name.length + 1, end)
    }
    from = end + 1
  }
  return null
}
