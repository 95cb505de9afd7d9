/** An address the edge accepts on: a host and port, or the path of a unix socket. IPv6 hosts are without brackets. */
export type Address = { host: string; port: number } | { path: string }

/** A rate: so many per so many milliseconds. */
export interface Rate {
  count: number
  perMs: number
}

/** One endpoint's URL, taken apart. `host` is a name or an IP address, IPv6 without brackets. */
export interface EndpointUrl {
  scheme: 'http' | 'https' | 'tcp'
  host: string
  port: number
}

/** Longest duration a timer can hold: 2^31 - 1 ms, almost 25 days. A longer one would fire at once. */
export const MAX_DURATION_MS = 2_147_483_647

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZE_BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }
const RATE_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Reads `500ms`, `1.5s`, `5m`, `1h` or `2d` as whole milliseconds, at most MAX_DURATION_MS; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,10}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text)
  if (match === null) return undefined
  const ms = Math.round(Number(match[1]) * DURATION_MS[match[2]!]!)
  return ms <= MAX_DURATION_MS ? ms : undefined
}

/** Reads `64KiB`, `10MiB`, `1GiB` or `512B` as bytes, at most 2^53 - 1; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,3})?)(B|KiB|MiB|GiB)$/.exec(text)
  if (match === null) return undefined
  const bytes = Math.round(Number(match[1]) * SIZE_BYTES[match[2]!]!)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Reads `50/s`, `1000/m`, `10/h` or `100/d`; undefined for anything else. */
export function parseRate(text: string): Rate | undefined {
  const match = /^(\d{1,12})\/(s|m|h|d)$/.exec(text)
  return match === null ? undefined : { count: Number(match[1]), perMs: RATE_MS[match[2]!]! }
}

/** Reads `0%` to `100%` as a fraction from 0 to 1; undefined for anything else. */
export function parsePercent(text: string): number | undefined {
  const match = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text)
  const share = match === null ? Number.NaN : Number(match[1]) / 100
  return share <= 1 ? share : undefined
}

/** Reads `0.0.0.0:8443`, `[::]:8443`, `localhost:8443` or `unix:/path`; undefined for anything else. Port 0 asks for a free one. */
export function parseAddress(text: string): Address | undefined {
  if (text.startsWith('unix:')) {
    // 107 bytes is what Linux's sockaddr_un holds.
    return text.length > 5 && Buffer.byteLength(text) <= 112 && !text.includes('\0')
      ? { path: text.slice(5) }
      : undefined
  }
  const parts = splitHostPort(text)
  return parts === undefined || parts.port === undefined ? undefined : { host: parts.host, port: parts.port }
}

/** Reads `http://host[:port]`, `https://host[:port]` or `tcp://host:port`, without path or credentials; undefined for anything else. */
export function parseEndpointUrl(text: string): EndpointUrl | undefined {
  const match = /^(http|https|tcp):\/\/([^/?#@]+)\/?$/.exec(text)
  if (match === null) return undefined
  const scheme = match[1] as EndpointUrl['scheme']
  const parts = splitHostPort(match[2]!)
  if (parts === undefined) return undefined
  const port = parts.port ?? (scheme === 'http' ? 80 : scheme === 'https' ? 443 : undefined)
  return port === undefined || port === 0 ? undefined : { scheme, host: parts.host, port }
}

/** Whether the text is a DNS name or an IPv4 address: labels of letters, digits, `-` and `_`, at most 253 characters. */
export function isHostName(text: string): boolean {
  if (text.length === 0 || text.length > 253) return false
  return text.split('.').every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label))
}

/** Whether the text is an IPv6 address without brackets or zone. */
export function isIpv6(text: string): boolean {
  return /^[0-9a-f:.]+$/i.test(text) && text.includes(':') && URL.canParse(`http://[${text}]/`)
}

function splitHostPort(text: string): { host: string; port: number | undefined } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const host = match[1] ?? match[2]!
  if (match[1] !== undefined ? !isIpv6(host) : !isHostName(host)) return undefined
  // A last label of digits is an IPv4 address or a mistake (WHATWG URL 3.5): 10.0.0.256 must not become a DNS query.
  if (match[1] === undefined && /(^|\.)\d+$/.test(host) && !isIpv4(host)) return undefined
  const port = match[3] === undefined ? undefined : Number(match[3])
  return port !== undefined && port > 65_535 ? undefined : { host: host.toLowerCase(), port }
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}
