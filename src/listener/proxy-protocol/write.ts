import type { ProxyTlv } from '../../core/connection-info.ts'
import { parseIpText } from '../ip-text.ts'
import { crc32c } from './crc32c.ts'
import { TLV, V2_MAX_BLOCK_BYTES, V2_SIGNATURE } from './read-v2.ts'

/** The two ends a header tells of. Ports are 0 to 65535. */
export interface ProxyAddresses {
  /** Dotted IPv4 or IPv6; `unix` for a unix socket. */
  readonly sourceIp: string
  readonly sourcePort: number
  readonly destinationIp: string
  readonly destinationPort: number
}

/** What version 2 may say beyond the addresses. */
export interface ProxyExtras {
  /** The SNI or host the client asked for. */
  readonly authority?: string
  /** The protocol chosen by ALPN, such as `http/1.1`. */
  readonly alpn?: string
  /** The client came over TLS. */
  readonly ssl?: ProxySsl
  /** Further values, written as they are. */
  readonly tlvs?: readonly ProxyTlv[]
  /** Ends the header with a CRC-32C. */
  readonly checksum?: boolean
}

/** The SSL value of version 2 (proxy-protocol.txt 2.2.6). */
export interface ProxySsl {
  /** `TLSv1.3` */
  readonly version: string
  readonly cipher: string | null
  /** Common name of a client certificate that was presented and verified; null when there was none. */
  readonly commonName: string | null
}

/**
 * Makes a version 1 line. Mixed families are written as TCP6 with the IPv4 one mapped; what is no IP address gives
 * `PROXY UNKNOWN`. Null makes the UNKNOWN line too. Source: proxy-protocol.txt 2.1.
 */
export function writeProxyV1(addresses: ProxyAddresses | null): Buffer {
  const packed = addresses === null ? null : packAddresses(addresses)
  if (addresses === null || packed === null) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1')
  const { sourceIp, sourcePort, destinationIp, destinationPort } = addresses
  const line =
    packed.length === 12
      ? `PROXY TCP4 ${sourceIp} ${destinationIp} ${sourcePort} ${destinationPort}\r\n`
      : `PROXY TCP6 ${toV6Text(sourceIp)} ${toV6Text(destinationIp)} ${sourcePort} ${destinationPort}\r\n`
  return Buffer.from(line, 'latin1')
}

/**
 * Makes a version 2 header. Null: the LOCAL command, for the edge's own probes. Two `unix` ends: AF_UNIX without names;
 * other non-IP ends: UNSPEC. Throws a RangeError when the values take more than 4,096 bytes. Source: proxy-protocol.txt 2.2.
 */
export function writeProxyV2(addresses: ProxyAddresses | null, extras: ProxyExtras | null = null): Buffer {
  const isUnix = addresses !== null && addresses.sourceIp === 'unix' && addresses.destinationIp === 'unix'
  const packed = addresses === null ? null : isUnix ? Buffer.alloc(216) : packAddresses(addresses)
  // A receiver skips what follows UNSPEC, so nothing is written there.
  const tlvs = packed === null || extras === null ? [] : encodeExtras(extras)
  const block = Buffer.concat(packed === null ? tlvs : [packed, ...tlvs])
  if (block.length > V2_MAX_BLOCK_BYTES) throw new RangeError('the PROXY protocol header is over 4,096 bytes')
  const header = Buffer.alloc(16 + block.length)
  V2_SIGNATURE.copy(header)
  header[12] = addresses === null ? 0x20 : 0x21
  header[13] = packed === null ? 0x00 : isUnix ? 0x31 : packed.length === 12 ? 0x11 : 0x21
  header.writeUInt16BE(block.length, 14)
  block.copy(header, 16)
  if (packed !== null && extras?.checksum === true) {
    header.writeUInt32BE(crc32c(header, 0, header.length), header.length - 4)
  }
  return header
}

/** 12 bytes for two IPv4 addresses, 36 for IPv6 or mixed ones, null when one is no IP address. */
function packAddresses(addresses: ProxyAddresses): Buffer | null {
  const source = new Uint8Array(16)
  const destination = new Uint8Array(16)
  const sourceBytes = parseIpText(addresses.sourceIp, source)
  const destinationBytes = parseIpText(addresses.destinationIp, destination)
  if (sourceBytes === 0 || destinationBytes === 0) return null
  const both4 = sourceBytes === 4 && destinationBytes === 4
  const width = both4 ? 4 : 16
  if (!both4 && sourceBytes === 4) mapIpv4(source)
  if (!both4 && destinationBytes === 4) mapIpv4(destination)
  const packed = Buffer.alloc(width * 2 + 4)
  packed.set(source.subarray(0, width), 0)
  packed.set(destination.subarray(0, width), width)
  packed.writeUInt16BE(addresses.sourcePort, width * 2)
  packed.writeUInt16BE(addresses.destinationPort, width * 2 + 2)
  return packed
}

function mapIpv4(bytes: Uint8Array): void {
  bytes.copyWithin(12, 0, 4)
  bytes.fill(0, 0, 10)
  bytes.fill(0xff, 10, 12)
}

function toV6Text(ip: string): string {
  return ip.includes(':') ? ip : `::ffff:${ip}`
}

function encodeExtras(extras: ProxyExtras): Buffer[] {
  const list: Buffer[] = []
  if (extras.alpn !== undefined) list.push(encodeTlv(TLV.alpn, Buffer.from(extras.alpn, 'latin1')))
  if (extras.authority !== undefined) list.push(encodeTlv(TLV.authority, Buffer.from(extras.authority, 'utf8')))
  if (extras.ssl !== undefined) list.push(encodeTlv(TLV.ssl, encodeSsl(extras.ssl)))
  for (const { type, value } of extras.tlvs ?? []) if (type !== TLV.crc32c) list.push(encodeTlv(type, value))
  // Last, so that its four bytes are the header's last four.
  if (extras.checksum === true) list.push(encodeTlv(TLV.crc32c, Buffer.alloc(4)))
  return list
}

function encodeSsl(ssl: ProxySsl): Buffer {
  const hasCertificate = ssl.commonName !== null
  // Flags: TLS 0x01, a certificate on this connection 0x02 and in this session 0x04; verify 0 only with a verified one.
  const head = Buffer.from([hasCertificate ? 0x07 : 0x01, 0, 0, 0, hasCertificate ? 0 : 1])
  const parts = [head, encodeTlv(TLV.sslVersion, Buffer.from(ssl.version, 'latin1'))]
  if (ssl.commonName !== null) parts.push(encodeTlv(TLV.sslCommonName, Buffer.from(ssl.commonName, 'utf8')))
  if (ssl.cipher !== null) parts.push(encodeTlv(TLV.sslCipher, Buffer.from(ssl.cipher, 'latin1')))
  return Buffer.concat(parts)
}

function encodeTlv(type: number, value: Uint8Array): Buffer {
  if (value.length > V2_MAX_BLOCK_BYTES) throw new RangeError('a PROXY protocol value is over 4,096 bytes')
  const tlv = Buffer.alloc(3 + value.length)
  tlv[0] = type
  tlv.writeUInt16BE(value.length, 1)
  tlv.set(value, 3)
  return tlv
}
