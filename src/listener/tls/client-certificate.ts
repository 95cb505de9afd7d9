import type { X509Certificate } from 'node:crypto'
import type { ClientCertificate } from '../../core/connection-info.ts'

/**
 * Makes the identity that policies and the log see from a certificate the caller has verified.
 *
 * Names keep the certificate's order and are joined by commas; special characters in values are escaped as in RFC 4514, so
 * that a value cannot pretend to be a further attribute.
 */
export function createClientCertificate(certificate: X509Certificate): ClientCertificate {
  return {
    subject: joinName(certificate.subject),
    issuer: joinName(certificate.issuer),
    subjectAltNames: splitAltNames(certificate.subjectAltName ?? ''),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    serial: certificate.serialNumber,
    notAfterMs: Date.parse(certificate.validTo),
  }
}

/**
 * Splits `DNS:a.test, URI:"x, y"` at the commas outside quotes. Node quotes a value as a JSON string when it holds a
 * character that could mislead such a split.
 */
export function splitAltNames(text: string): string[] {
  const names: string[] = []
  let start = 0
  let quoted = false
  for (let i = 0; i <= text.length; i++) {
    const char = text[i]
    if (i === text.length || (char === ',' && !quoted)) {
      const name = text.slice(start, i).trim()
      if (name !== '') names.push(name)
      start = i + 1
    } else if (char === '"') quoted = !quoted
    else if (char === '\\' && quoted) i++
  }
  return names
}

function joinName(text: string | undefined): string {
  // Node prints one attribute a line; line breaks in values are escaped.
  return (text ?? '').split('\n').join(',')
}
