import type { ProxyTlv } from '../../core/connection-info.ts'
import { formatIpv4, formatIpv6 } from '../ip-text.ts'
import { crc32c } from './crc32c.ts'
import { createLocalHeader, ProxyHeader, type ProxyRead } from './header.ts'

/** The 12 bytes every version 2 header starts with. */
export const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/** The most address and TLV bytes taken after the fixed 16: far above any sender's, far below 64 KiB per connection. */
export const V2_MAX_BLOCK_BYTES = 4096

/** TLV types this code knows (proxy-protocol.txt 2.2). */
export const TLV = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  noop: 0x04,
  uniqueId: 0x05,
  ssl: 0x20,
  sslVersion: 0x21,
  sslCommonName: 0x22,
  sslCipher: 0x23,
} as const

const FIXED_BYTES = 16
const TCP4 = 0x11
const TCP6 = 0x21
const UNIX_STREAM = 0x31
const ZEROS = new Uint8Array(4)

/**
 * Reads a version 2 header from `bytes[start..end)`, which starts with the signature or a part of it. Never looks past `end`.
 *
 * The checksum is verified when there is one. UDP and unix datagrams are read as UNSPEC: this is a stream listener.
 * The block of a LOCAL or UNSPEC header is skipped unread. Source: proxy-protocol.txt 2.2.
 */
export function readProxyV2(bytes: Uint8Array, start: number, end: number): ProxyRead {
  if (end - start < 13) return null
  const command = bytes[start + 12]!
  if (command !== 0x20 && command !== 0x21) return 'proxy-protocol-invalid'
  if (end - start < 14) return null
  const family = bytes[start + 13]!
  const addressBytes = command === 0x20 ? 0 : addressLength(family)
  if (addressBytes < 0) return 'proxy-protocol-invalid'
  if (end - start < FIXED_BYTES) return null
  const blockBytes = (bytes[start + 14]! << 8) | bytes[start + 15]!
  if (blockBytes < addressBytes || blockBytes > V2_MAX_BLOCK_BYTES) return 'proxy-protocol-invalid'
  const length = FIXED_BYTES + blockBytes
  if (end - start < length) return null
  if (command === 0x20 || family === 0) return createLocalHeader(length)

  const address = start + FIXED_BYTES
  const tlvs = readTlvs(bytes, start, address + addressBytes, start + length)
  if (tlvs === 'proxy-protocol-invalid') return tlvs
  if (family === TCP4) {
    const ports = address + 8
    return new ProxyHeader(
      length,
      false,
      formatIpv4(bytes, address),
      readPort(bytes, ports),
      formatIpv4(bytes, address + 4),
      readPort(bytes, ports + 2),
      tlvs,
    )
  }
  if (family === TCP6) {
    const ports = address + 32
    return new ProxyHeader(
      length,
      false,
      formatIpv6(bytes, address),
      readPort(bytes, ports),
      formatIpv6(bytes, address + 16),
      readPort(bytes, ports + 2),
      tlvs,
    )
  }
  if (family === UNIX_STREAM) return new ProxyHeader(length, false, 'unix', 0, 'unix', 0, tlvs)
  return new ProxyHeader(length, true, '', 0, '', 0, tlvs)
}

/** Bytes of the address block, -1 for a family byte that must be rejected. */
function addressLength(family: number): number {
  switch (family) {
    case 0x00:
      return 0
    case TCP4:
    case 0x12:
      return 12
    case TCP6:
    case 0x22:
      return 36
    case UNIX_STREAM:
    case 0x32:
      return 216
    default:
      return -1
  }
}

function readPort(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!
}

function readTlvs(
  bytes: Uint8Array,
  start: number,
  from: number,
  end: number,
): readonly ProxyTlv[] | 'proxy-protocol-invalid' | null {
  if (from === end) return null
  // One copy for all values, so that no receive buffer stays alive as long as the connection.
  const copy = Buffer.from(bytes.subarray(from, end))
  const tlvs: ProxyTlv[] = []
  let checksumSeen = false
  for (let at = from; at < end; ) {
    if (end - at < 3) return 'proxy-protocol-invalid'
    const type = bytes[at]!
    const valueAt = at + 3
    const valueEnd = valueAt + ((bytes[at + 1]! << 8) | bytes[at + 2]!)
    if (valueEnd > end) return 'proxy-protocol-invalid'
    if (type === TLV.crc32c) {
      if (checksumSeen || valueEnd - valueAt !== 4 || !checksumHolds(bytes, start, valueAt, end)) {
        return 'proxy-protocol-invalid'
      }
      checksumSeen = true
    }
    if (type !== TLV.noop) tlvs.push({ type, value: copy.subarray(valueAt - from, valueEnd - from) })
    at = valueEnd
  }
  return tlvs.length === 0 ? null : tlvs
}

function checksumHolds(bytes: Uint8Array, start: number, at: number, end: number): boolean {
  const stated = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  const before = crc32c(bytes, start, at)
  return crc32c(bytes, at + 4, end, crc32c(ZEROS, 0, 4, before)) === stated
}
