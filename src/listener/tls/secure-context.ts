import { constants, createHash } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { readServerNames, ServerNameMap } from './server-names.ts'

/** A certificate and its key, PEM texts. The certificate may be followed by its chain. */
export interface CertificatePair {
  readonly certificate: string
  readonly key: string
}

/** How a listener speaks TLS. */
export interface TlsSettings {
  /** At least one; the first is used when no name fits. */
  readonly certificates: readonly CertificatePair[]
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** OpenSSL cipher list in order of preference; null or absent: a modern one. */
  readonly ciphers?: string | null
  /**
   * Null: none is asked for. `require`: no connection without a valid one. `request`: a client may have none, but an invalid
   * one ends the connection.
   */
  readonly clientCertificate: { readonly ca: string; readonly mode: 'require' | 'request' } | null
}

/** Length of the ticket keys that all threads share: 16 bytes name, 16 HMAC, 16 AES, all random. */
export const TICKET_KEYS_BYTES = 48

/** TLS 1.3 suites, then ECDHE with AEAD for TLS 1.2: no CBC, no RSA key exchange, no static DH. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

const GROUPS = 'X25519MLKEM768:X25519:P-256:P-384'

/** How long a session can be resumed. A client certificate is looked at again on every resumption. */
const SESSION_SECONDS = 3600

/** What a listener's handshakes need: the first certificate's options, and a context for each name of the others. */
export interface SecureContexts {
  /** For clients that send no name, an unknown one, or one of the first certificate's. */
  readonly defaults: SecureContextOptions
  /** Null for a single certificate. A name of the first certificate maps to null: the defaults. */
  readonly byName: ServerNameMap<SecureContext | null> | null
}

/**
 * Builds the contexts from PEM texts. Throws an Error that says which certificate is bad and why: call it when the
 * configuration is checked.
 * @param listener name of the listener; a session of one listener is never resumed on another
 * @param ticketKeys 48 random bytes, the same on all threads, so that a session resumes on any; other ones end all sessions
 */
export function createSecureContexts(listener: string, tls: TlsSettings, ticketKeys: Buffer): SecureContexts {
  if (tls.certificates.length === 0) throw new Error(`listener ${listener}: tls needs at least one certificate`)
  if (ticketKeys.length !== TICKET_KEYS_BYTES) throw new Error(`ticket keys are ${TICKET_KEYS_BYTES} bytes`)
  const byName = new ServerNameMap<SecureContext | null>()
  for (const [index, pair] of tls.certificates.entries()) {
    try {
      const context = createSecureContext(contextOptions(listener, tls, pair, ticketKeys))
      for (const name of readServerNames(pair.certificate)) byName.add(name, index === 0 ? null : context)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(`listener ${listener}: certificate ${index + 1} cannot be used: ${why}`, { cause: error })
    }
  }
  return {
    defaults: contextOptions(listener, tls, tls.certificates[0]!, ticketKeys),
    byName: tls.certificates.length > 1 ? byName : null,
  }
}

/** True where the group list above can be used; OpenSSL before 3.5 has no ML-KEM. */
const HAS_MLKEM = (() => {
  try {
    createSecureContext({ ecdhCurve: 'X25519MLKEM768' })
    return true
  } catch {
    return false
  }
})()

function contextOptions(
  listener: string,
  tls: TlsSettings,
  pair: CertificatePair,
  ticketKeys: Buffer,
): SecureContextOptions {
  return {
    cert: pair.certificate,
    key: pair.key,
    ca: tls.clientCertificate?.ca,
    minVersion: tls.minVersion,
    ciphers: tls.ciphers ?? CIPHERS,
    ecdhCurve: HAS_MLKEM ? GROUPS : GROUPS.slice(GROUPS.indexOf(':') + 1),
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    sessionTimeout: SESSION_SECONDS,
    sessionIdContext: sessionIdContext(listener, tls),
    ticketKeys,
  }
}

/**
 * A session carries the client's certificate and is not verified again. So a session from a listener, or a time, with another
 * CA or mode must not resume here: OpenSSL refuses it when this id differs. At most 32 bytes.
 */
function sessionIdContext(listener: string, tls: TlsSettings): string {
  const hash = createHash('sha256').update(`${listener}\0`)
  if (tls.clientCertificate !== null) hash.update(`${tls.clientCertificate.mode}\0${tls.clientCertificate.ca}`)
  return hash.digest('hex').slice(0, 32)
}
