/**
 * The header fields the edge knows by number, so that the path compares integers and not names.
 *
 * `-` and `_` count as the same character here: WSGI, CGI and PHP hand `X_Forwarded_For` and `X-Forwarded-For` to the
 * application under one name, so an underscore spelling of a known field is a shadow of it and is dropped.
 */

/** Never forwarded: they belong to one connection (RFC 9110 7.6.1), or the edge writes them itself. */
export const HOP = 1
/** Names who called or what was asked: believed and forwarded only from a trusted proxy, and mostly rewritten even then. */
export const IDENTITY = 2
// 4 is DROPPED (field-table.ts)
/** Says how long the message is: written anew where the framing may change. */
export const LENGTH = 8

/** Field numbers. 0 is any other field. */
export const F = {
  other: 0,
  host: 1,
  connection: 2,
  contentLength: 3,
  transferEncoding: 4,
  expect: 5,
  upgrade: 6,
  te: 7,
  trailer: 8,
  keepAlive: 9,
  proxyConnection: 10,
  forwarded: 11,
  xForwardedFor: 12,
  xForwardedProto: 13,
  xForwardedHost: 14,
  xRequestId: 15,
  traceparent: 16,
  date: 17,
  server: 18,
  http2Settings: 19,
  identity: 20,
  contentType: 21,
  tracestate: 22,
} as const

export interface KnownField {
  readonly name: string
  readonly id: number
  readonly flags: number
}

/** Kin of X-Forwarded-For: other products' names for who called or what was asked. */
const IDENTITY_KIN = [
  'x-real-ip',
  'x-client-ip',
  'client-ip',
  'true-client-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'fastly-client-ip',
  'fly-client-ip',
  'x-cluster-client-ip',
  'x-originating-ip',
  'x-remote-ip',
  'x-remote-addr',
  'x-appengine-user-ip',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-envoy-external-address',
  'x-original-forwarded-for',
  'x-original-host',
  'x-original-url',
  'x-original-uri',
  'x-rewrite-url',
  'x-host',
  'x-forwarded',
  'x-forwarded-by',
  'x-forwarded-client-cert',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-scheme',
  'x-forwarded-server',
  'x-forwarded-ssl',
  'x-forwarded-uri',
  'x-forwarded-method',
  'x-http-method-override',
  'x-scheme',
  'x-url-scheme',
  'front-end-https',
  'forwarded-for',
  'x-proxyuser-ip',
]

const KNOWN: readonly KnownField[] = [
  { name: 'host', id: F.host, flags: HOP },
  { name: 'connection', id: F.connection, flags: HOP },
  { name: 'content-length', id: F.contentLength, flags: LENGTH },
  { name: 'transfer-encoding', id: F.transferEncoding, flags: HOP },
  { name: 'expect', id: F.expect, flags: 0 },
  { name: 'upgrade', id: F.upgrade, flags: HOP },
  { name: 'te', id: F.te, flags: HOP },
  { name: 'trailer', id: F.trailer, flags: 0 },
  { name: 'keep-alive', id: F.keepAlive, flags: HOP },
  { name: 'proxy-connection', id: F.proxyConnection, flags: HOP },
  { name: 'http2-settings', id: F.http2Settings, flags: HOP },
  { name: 'forwarded', id: F.forwarded, flags: HOP | IDENTITY },
  { name: 'x-forwarded-for', id: F.xForwardedFor, flags: HOP | IDENTITY },
  { name: 'x-forwarded-proto', id: F.xForwardedProto, flags: HOP | IDENTITY },
  { name: 'x-forwarded-host', id: F.xForwardedHost, flags: HOP | IDENTITY },
  { name: 'x-request-id', id: F.xRequestId, flags: HOP | IDENTITY },
  { name: 'traceparent', id: F.traceparent, flags: 0 },
  { name: 'tracestate', id: F.tracestate, flags: 0 },
  { name: 'date', id: F.date, flags: 0 },
  { name: 'server', id: F.server, flags: 0 },
  { name: 'content-type', id: F.contentType, flags: 0 },
  ...IDENTITY_KIN.map((name) => ({ name, id: F.identity, flags: IDENTITY })),
]

const SLOTS = 1024
/** Start value of the rolling name hash. */
export const HASH_START = 7

const slots: (KnownField | null)[] = new Array<KnownField | null>(SLOTS).fill(null)
for (const field of KNOWN) {
  let slot = hashName(field.name)
  while (slots[slot] !== null) slot = (slot + 1) % SLOTS
  slots[slot] = field
}

/** One step of the name hash: `c` is a byte of the name; letters count without case, `_` as `-`. */
export function hashStep(hash: number, c: number): number {
  return (Math.imul(hash, 31) + (c === 0x5f ? 0x2d : c | 0x20)) | 0
}

/** Finishes a rolling name hash into a slot number. */
export function hashEnd(hash: number): number {
  return (hash ^ (hash >>> 10)) & (SLOTS - 1)
}

function hashName(name: string): number {
  let hash = HASH_START
  for (let i = 0; i < name.length; i++) hash = hashStep(hash, name.charCodeAt(i))
  return hashEnd(hash)
}

/**
 * The known field whose name stands in `bytes[start, end)`, or null. `slot` is its finished hash.
 * Letter case does not matter and `_` matches `-`; the caller checks for a shadow.
 */
export function knownField(slot: number, bytes: Uint8Array, start: number, end: number): KnownField | null {
  for (;;) {
    const field = slots[slot] as KnownField | null
    if (field === null) return null
    if (field.name.length === end - start && matches(field.name, bytes, start)) return field
    slot = (slot + 1) % SLOTS
  }
}

function matches(name: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < name.length; i++) {
    const c = bytes[start + i] as number
    if ((c === 0x5f ? 0x2d : c | 0x20) !== name.charCodeAt(i)) return false
  }
  return true
}

/** The known field of a whole name, or null: for load time and for trailers. */
export function knownFieldByName(name: string): KnownField | null {
  const bytes = Buffer.from(name, 'latin1')
  return knownField(hashName(name), bytes, 0, bytes.length)
}
