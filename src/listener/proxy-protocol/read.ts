import type { ProxyRead } from './header.ts'
import { readProxyV1 } from './read-v1.ts'
import { readProxyV2, V2_SIGNATURE } from './read-v2.ts'

const V1_PREFIX = Buffer.from('PROXY ', 'latin1')

/**
 * Reads a PROXY protocol header, version 1 or 2, from `bytes[start..end)`.
 *
 * Returns the header, null when more bytes are needed, or `proxy-protocol-invalid`: close without a reply. Call it again with
 * more bytes from the same start; the answer does not depend on how the bytes were cut. Source: proxy-protocol.txt 2.
 */
export function readProxyHeader(bytes: Uint8Array, start: number, end: number): ProxyRead {
  switch (detectProxyHeader(bytes, start, end)) {
    case 'v1':
      return readProxyV1(bytes, start, end)
    case 'v2':
      return readProxyV2(bytes, start, end)
    case 'more':
      return null
    default:
      return 'proxy-protocol-invalid'
  }
}

/**
 * Tells from the first bytes whether a PROXY protocol header begins here.
 * `more`: what is there is the beginning of a signature (or nothing); `none`: something else, for certain.
 */
export function detectProxyHeader(bytes: Uint8Array, start: number, end: number): 'v1' | 'v2' | 'none' | 'more' {
  if (start >= end) return 'more'
  const prefix = bytes[start] === V1_PREFIX[0] ? V1_PREFIX : V2_SIGNATURE
  const length = Math.min(prefix.length, end - start)
  for (let i = 0; i < length; i++) if (bytes[start + i] !== prefix[i]) return 'none'
  if (length < prefix.length) return 'more'
  return prefix === V1_PREFIX ? 'v1' : 'v2'
}
