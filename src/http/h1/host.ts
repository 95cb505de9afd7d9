import { isIPv6 } from 'node:net'
import { HOST } from '../char-class.ts'

/**
 * Whether text is a host with an optional port (RFC 9112 3.2, RFC 3986 3.2.2), narrower where names in use are:
 * letters, digits, `.`, `-`, `_`, or an IPv6 address in brackets; a port of 1 to 65535.
 */
export function isHost(text: string): boolean {
  let p = 0
  if (text.charCodeAt(0) === 0x5b) {
    const close = text.indexOf(']')
    if (close < 0 || !isIPv6(text.slice(1, close)) || text.includes('%')) return false
    p = close + 1
  } else {
    while (p < text.length && text.charCodeAt(p) < 0x80 && HOST[text.charCodeAt(p)] === 1) p++
    if (p === 0 || p > 255 || text.charCodeAt(0) === 0x2e) return false
  }
  return p === text.length || (text.charCodeAt(p) === 0x3a && isPort(text, p + 1))
}

function isPort(text: string, from: number): boolean {
  const digits = text.length - from
  if (digits < 1 || digits > 5) return false
  let port = 0
  for (let i = from; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port >= 1 && port <= 65535
}
