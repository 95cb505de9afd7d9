import type { ProxyTlv } from '../../core/connection-info.ts'

/** What a PROXY protocol header says. */
export class ProxyHeader {
  /** Bytes the header takes; what follows belongs to the connection. */
  readonly length: number
  /**
   * True when the addresses of the real connection hold: LOCAL, UNKNOWN, UNSPEC and datagram families. The other address
   * fields are then empty.
   */
  readonly local: boolean
  /** Dotted IPv4, RFC 5952 IPv6, mapped IPv6 as IPv4, `unix` for a unix socket, '' when local. */
  readonly sourceIp: string
  readonly sourcePort: number
  readonly destinationIp: string
  readonly destinationPort: number
  /** Type-length-values of version 2, NOOP left out; null when there are none. Copies: they hold no receive buffer. */
  readonly tlvs: readonly ProxyTlv[] | null

  constructor(
    length: number,
    local: boolean,
    sourceIp: string,
    sourcePort: number,
    destinationIp: string,
    destinationPort: number,
    tlvs: readonly ProxyTlv[] | null,
  ) {
    this.length = length
    this.local = local
    this.sourceIp = sourceIp
    this.sourcePort = sourcePort
    this.destinationIp = destinationIp
    this.destinationPort = destinationPort
    this.tlvs = tlvs
  }
}

/** What a reader returns: the header, the reason code for a refusal, or null when more bytes are needed. */
export type ProxyRead = ProxyHeader | 'proxy-protocol-invalid' | null

/** The header of a connection whose own addresses hold. */
export function createLocalHeader(length: number): ProxyHeader {
  return new ProxyHeader(length, true, '', 0, '', 0, null)
}
