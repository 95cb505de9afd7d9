import { type CidrSet, unmapIp } from '../base/cidr.ts'

/** What TLS established on a client's connection. */
export interface TlsInfo {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string
  readonly cipher: string
  /** The name the client asked for (SNI), lower case; null when it sent none. */
  readonly serverName: string | null
  /** The verified client certificate; null when none was presented or it did not verify. */
  readonly clientCertificate: ClientCertificate | null
}

/** A client certificate that the listener's CA signed. */
export interface ClientCertificate {
  /** RFC 4514 order as written in the certificate, `CN=partner-1,O=Partner`. */
  readonly subject: string
  readonly issuer: string
  /** Subject alternative names as Node prints them: `DNS:a.test`, `URI:spiffe://…`. */
  readonly subjectAltNames: readonly string[]
  /** SHA-256 of the DER form, lower-case hex without colons. */
  readonly fingerprint: string
  readonly serial: string
  /** Milliseconds since 1970. */
  readonly notAfterMs: number
}

/** A type-length-value of PROXY protocol version 2 (proxy-protocol.txt 2.2). */
export interface ProxyTlv {
  readonly type: number
  readonly value: Buffer
}

/** Where a client connected to. */
export interface Destination {
  /** IPv4 dotted or IPv6 compressed, mapped IPv6 as IPv4; `unix` for a unix socket. */
  readonly ip: string
  readonly port: number
}

/** The edge's end of a connection: a socket, asked when somebody wants to know. */
export interface LocalEnd {
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
}

/** What is known of one accepted connection before any byte of HTTP: constant for its life. */
export class ConnectionInfo {
  /** The listener's name in the configuration. */
  readonly listener: string
  /** Who opened the connection, after a trusted PROXY header: IPv4 dotted or IPv6 compressed, mapped IPv6 as IPv4; `unix` for a unix socket. */
  readonly peerIp: string
  readonly peerPort: number
  readonly scheme: 'http' | 'https'
  readonly tls: TlsInfo | null
  readonly proxyTlvs: readonly ProxyTlv[] | null
  /** The listener's `trustedProxies`, null when it has none. */
  readonly trustedProxies: CidrSet | null
  /** True when the peer itself is one of `trustedProxies`; computed once. */
  readonly peerTrusted: boolean
  /** The socket that answers `destination`, set by whom the connection was delivered to; null on a unix socket and after a PROXY header. */
  localEnd: LocalEnd | null = null
  #destination: Destination | null
  /** Of proxy/identity: the fields that tell who called, made for the authority asked for last. */
  forwardedAuthority: string | null = null
  forwardedFields = ''

  constructor(
    listener: string,
    peerIp: string,
    peerPort: number,
    scheme: 'http' | 'https',
    tls: TlsInfo | null,
    proxyTlvs: readonly ProxyTlv[] | null,
    trustedProxies: CidrSet | null,
    destination: Destination | null = null,
  ) {
    this.listener = listener
    this.peerIp = peerIp
    this.peerPort = peerPort
    this.scheme = scheme
    this.tls = tls
    this.proxyTlvs = proxyTlvs
    this.trustedProxies = trustedProxies
    this.peerTrusted = trustedProxies?.contains(peerIp) ?? false
    this.#destination = destination
  }

  /** Where the client connected to: what a PROXY header says, else the edge's own end. Null when the connection is gone. */
  get destination(): Destination | null {
    if (this.#destination === null) {
      if (this.peerIp === 'unix') this.#destination = UNIX
      // The system is asked once, and only for those who want to know.
      else if (this.localEnd?.localAddress !== undefined) {
        this.#destination = { ip: unmapIp(this.localEnd.localAddress), port: this.localEnd.localPort ?? 0 }
      }
    }
    return this.#destination
  }
}

const UNIX: Destination = { ip: 'unix', port: 0 }
