import { isIP } from 'node:net'
import { flat } from '../base/bytes.ts'
import type { ConnectionInfo } from '../core/connection-info.ts'
import type { Exchange } from '../core/exchange.ts'
import { isHost } from '../http/h1/host.ts'
import { formatIpv4, formatIpv6, parseIpText } from '../listener/ip-text.ts'

/** Entries of X-Forwarded-For or Forwarded that are looked at, from the right; a longer chain is no chain of proxies. */
const MAX_HOPS = 32

/**
 * Settles who called and what was asked, once: `client`, `scheme`, `host`, `authority` and `forwardedFields`.
 *
 * From a peer that is no trusted proxy nothing is believed. From a trusted one X-Forwarded-For (else Forwarded) is read
 * from the right: the first address that is not itself trusted is the client. What stands left of it, anyone can have
 * written: it is neither believed nor passed on.
 */
export function identify(exchange: Exchange): void {
  const { connection, request } = exchange
  const authority = request.host
  exchange.authority = authority
  exchange.host = hostOf(authority)
  exchange.client = connection.peerIp
  exchange.scheme = connection.scheme
  if (connection.peerTrusted) identifyThroughProxy(exchange)
  else exchange.forwardedFields = `${directFields(connection, authority)}X-Request-Id: ${exchange.id}\r\n`
}

/** The fields for a peer that is the client: the same for all its requests to one host. */
function directFields(connection: ConnectionInfo, authority: string): string {
  if (connection.forwardedAuthority === authority) return connection.forwardedFields
  const { peerIp, scheme } = connection
  connection.forwardedAuthority = authority
  // Over a unix socket nobody has an address, and none is made up.
  const chain = peerIp === 'unix' ? 'unknown' : peerIp
  connection.forwardedFields = flat(fieldsFor(chain, forwardedElement(peerIp, authority, scheme), scheme, authority))
  return connection.forwardedFields
}

function fieldsFor(chain: string, forwarded: string, scheme: string, authority: string): string {
  const host = authority === '' ? '' : `X-Forwarded-Host: ${authority}\r\n`
  return `X-Forwarded-For: ${chain}\r\nX-Forwarded-Proto: ${scheme}\r\n${host}Forwarded: ${forwarded}\r\n`
}

/** RFC 7239 4: IPv6 addresses and hosts with a port are quoted. */
function forwardedElement(ip: string, authority: string, scheme: string): string {
  const host = authority === '' ? '' : `;host=${/^[\w.-]+$/.test(authority) ? authority : `"${authority}"`}`
  return `for=${node(ip)}${host};proto=${scheme}`
}

function node(ip: string): string {
  if (ip.includes(':')) return `"[${ip}]"`
  return isIP(ip) === 4 ? ip : 'unknown'
}

function identifyThroughProxy(exchange: Exchange): void {
  const { connection, request } = exchange
  const { fields } = request
  const forwarded = fields.get('forwarded')
  const forwardedFor = fields.get('x-forwarded-for')
  const chain = forwardedFor === null ? (forwarded === null ? [] : forwardedNodes(forwarded)) : forwardedFor.split(',')
  const hops = [connection.peerIp]
  while (hops.length < MAX_HOPS && chain.length > 0 && connection.trustedProxies?.contains(hops[0] as string)) {
    const ip = addressOf(chain.pop() as string)
    // An entry that is no address ends what can be believed.
    if (ip === null) break
    hops.unshift(ip)
  }
  exchange.client = hops[0] as string
  const proto = lastOf(fields.get('x-forwarded-proto'))?.toLowerCase()
  if (proto === 'http' || proto === 'https') exchange.scheme = proto
  const named = lastOf(fields.get('x-forwarded-host'))
  const authority = named !== null && isHost(named) ? named : request.host
  const id = fields.get('x-request-id')
  if (id !== null && /^[\w.:@=+/-]{1,128}$/.test(id)) exchange.id = id
  const elements = hops.map((ip, i) => (i === 0 ? forwardedElement(ip, authority, exchange.scheme) : `for=${node(ip)}`))
  exchange.forwardedFields = `${fieldsFor(hops.join(', '), elements.join(', '), exchange.scheme, authority)}X-Request-Id: ${exchange.id}\r\n`
}

function lastOf(list: string | null): string | null {
  if (list === null) return null
  return list.slice(list.lastIndexOf(',') + 1).trim()
}

/** The `for` parameters of a Forwarded field (RFC 7239), in order; one that cannot be read becomes '' and ends the chain. */
function forwardedNodes(value: string): string[] {
  return value.split(',').map(forwardedNode)
}

/** Reads every parameter: a proxy may quote a Host in which its client wrote `;for=…`. */
function forwardedNode(element: string): string {
  let node = ''
  PARAMETER.lastIndex = 0
  while (PARAMETER.lastIndex < element.length) {
    const found = PARAMETER.exec(element)
    if (found === null) return ''
    if ((found[1] as string).toLowerCase() !== 'for') continue
    if (node !== '') return ''
    node = found[2] ?? (found[3] as string)
  }
  return node
}

const PARAMETER = /[ \t]*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))[ \t]*(?:;|$)/y

const SCRATCH = new Uint8Array(16)

/**
 * An address with an optional port, as X-Forwarded-For and Forwarded carry them; null if it is none. One address has one
 * text, however it was written: limits and hashes by client go by it.
 */
function addressOf(text: string): string | null {
  const entry = text.trim()
  const found = /^\[([0-9a-fA-F:.]*:[0-9a-fA-F:.]*)\](?::\d{1,5})?$/.exec(entry) ?? /^([\d.]+):\d{1,5}$/.exec(entry)
  const length = parseIpText(found === null ? entry : (found[1] as string), SCRATCH)
  if (length === 0) return null
  return length === 4 ? formatIpv4(SCRATCH, 0) : formatIpv6(SCRATCH, 0)
}

/** Host without port and final dot, lower case. */
function hostOf(authority: string): string {
  if (authority === lastAuthority) return lastHost
  let host = authority
  const colon = authority.lastIndexOf(':')
  if (colon > 0 && authority.charCodeAt(authority.length - 1) !== 0x5d) host = authority.slice(0, colon)
  if (host.charCodeAt(host.length - 1) === 0x2e) host = host.slice(0, -1)
  lastAuthority = authority
  lastHost = host.toLowerCase()
  return lastHost
}

// Most requests name the same host as the one before.
let lastAuthority = ''
let lastHost = ''
