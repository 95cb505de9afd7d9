import {
  address,
  cidrs,
  count,
  file,
  flag,
  object,
  oneOf,
  oneOfAvailable,
  optional,
  pattern,
  size,
  someOf,
  text,
  timeout,
} from '../schema/kit.ts'

const certificate = object({
  certificate: file().describe('The certificate, followed by its intermediates, in PEM.'),
  key: file().describe('Its private key, in PEM.'),
})

const tls = object({
  certificates: someOf(certificate).describe(
    'Several are chosen between by the name that the client asks for (SNI); the first is for clients that ask for none.',
  ),
  minVersion: oneOf('TLSv1.2', 'TLSv1.3').prefault('TLSv1.2').describe('The oldest version of TLS that is accepted.'),
  ciphers: optional(text().meta({ title: 'OpenSSL cipher list' })).describe(
    'Ciphers of TLS 1.2 and 1.3, in order of preference. Default: a modern list.',
  ),
  clientCertificate: optional(
    object({
      ca: file().describe('The CAs that sign client certificates, in PEM.'),
      mode: oneOf('require', 'request')
        .prefault('require')
        .describe(
          '`require` refuses a client without a certificate, `request` lets it in; both refuse an invalid one.',
        ),
    }),
  ).describe('Asks clients for a certificate.'),
})

const limits = object({
  headBytes: size(1024).prefault('32KiB').describe('Request line and header fields together.'),
  headers: count(1).prefault(100).describe('Header fields of one request.'),
  urlBytes: size(16).prefault('8KiB').describe('The request target.'),
  bodyBytes: size(0).prefault('10MiB').describe('The body of one request.'),
  connections: count().prefault(10_000).describe('Open connections of this listener, over all threads.'),
  connectionsPerClient: count().prefault('none').describe('Open connections of one client address.'),
  handshakes: count().prefault(1000).describe('TLS handshakes that run at the same time.'),
  handshakesPerClient: count()
    .prefault('none')
    .describe('TLS handshakes of one client address that run at the same time.'),
})

const timeouts = object({
  handshake: timeout().prefault('10s').describe('For the PROXY protocol header and the TLS handshake.'),
  head: timeout().prefault('10s').describe('From the first byte of a request to the end of its head.'),
  body: timeout().prefault('30s').describe('The longest gap between two pieces of a body, in either direction.'),
  idle: timeout()
    .prefault('60s')
    .describe('A connection that waits for its next request; in mode tcp, one without a byte in either direction.'),
})

/** One address the edge accepts on. */
export const listenerSchema = object({
  address: address().describe("`0.0.0.0:8443`, `'[::]:8443'` or `unix:/run/sallyport.sock`. Port 0 takes a free one."),
  mode: oneOf('http', 'tcp').prefault('http').describe('`tcp` passes bytes on to `upstream`, TLS included.'),
  upstream: optional(pattern('name', /./, 'expected the name of an upstream')).describe(
    'For mode tcp: where the bytes go.',
  ),
  compat: oneOfAvailable(['none'], ['aws'])
    .prefault('none')
    .describe('Whose bodies and codes refusals have. `none`: problem details (RFC 9457).'),
  tls: optional(tls).describe('Serves HTTPS. Absent: plain HTTP.'),
  http2: flag().prefault(false).describe('Accepted; this version offers HTTP/1.1 only.'),
  proxyProtocol: optional(
    object({
      from: cidrs()
        .min(1, { error: 'needs at least one item' })
        .describe('Senders of whom a header is demanded; it is refused from all others.'),
    }),
  ).describe('PROXY protocol, version 1 or 2, before anything else on a connection.'),
  trustedProxies: cidrs()
    .prefault([])
    .describe('Whose X-Forwarded-For and Forwarded are believed, read right to left.'),
  limits: limits.prefault({}).describe('`none` lifts a limit.'),
  timeouts: timeouts.prefault({}).describe('`none` lifts a timeout.'),
})
