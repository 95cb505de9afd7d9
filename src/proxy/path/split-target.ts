/** A request target taken apart; scheme and authority are null unless it is in absolute form. */
export interface SplitTarget {
  /** Lower case, `http` or `https`. */
  readonly scheme: 'http' | 'https' | null
  /** As sent, unchecked: whoever uses it as a host validates it. */
  readonly authority: string | null
  /** From the first `/` or `?` on, as sent; '' if an absolute target ends with its authority. */
  readonly pathAndQuery: string
}

/**
 * Takes a request target apart (RFC 9112 3.2): origin-form, absolute-form of http and https, and `*` as it is.
 * Anything else comes back whole as `pathAndQuery`, which then begins with no slash and is refused by the path rules.
 * The authority ends at the first `/`, `?` or `#`, never at a backslash, which is no part of a valid host.
 */
export function splitTarget(target: string): SplitTarget {
  const start = target.charCodeAt(0) === 0x2f ? 0 : authorityStart(target)
  if (start === 0) return { scheme: null, authority: null, pathAndQuery: target }
  let end = start
  while (end < target.length && !endsAuthority(target.charCodeAt(end))) end++
  return {
    scheme: start === 7 ? 'http' : 'https',
    authority: target.slice(start, end),
    pathAndQuery: target.slice(end),
  }
}

function authorityStart(target: string): number {
  if (target.slice(0, 7).toLowerCase() === 'http://') return 7
  return target.slice(0, 8).toLowerCase() === 'https://' ? 8 : 0
}

function endsAuthority(c: number): boolean {
  return c === 0x2f || c === 0x3f || c === 0x23
}
