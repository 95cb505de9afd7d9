import { X509Certificate } from 'node:crypto'
import { splitAltNames } from './client-certificate.ts'

/**
 * The DNS names a PEM certificate is for, lower case, `*.` in front for a wildcard: its subject alternative names, or the
 * common name when it has none at all. Throws when the text is no certificate.
 */
export function readServerNames(certificate: string): string[] {
  const parsed = new X509Certificate(certificate)
  const names = splitAltNames(parsed.subjectAltName ?? '')
    .filter((name) => name.startsWith('DNS:'))
    .map((name) => name.slice(4).toLowerCase())
  if (names.length > 0 || parsed.subjectAltName !== undefined) return names
  const commonName = (parsed.subject ?? '').split('\n').find((line) => line.startsWith('CN='))
  return commonName === undefined ? [] : [commonName.slice(3).toLowerCase()]
}

/** Finds the value for a server name: the exact name first, then the wildcard one label up (RFC 6125 6.4.3). */
export class ServerNameMap<T> {
  readonly #exact = new Map<string, T>()
  readonly #wildcard = new Map<string, T>()

  /** Adds a name such as `api.example.com` or `*.example.com`. The first value given for a name stays. */
  add(name: string, value: T): void {
    const map = name.startsWith('*.') ? this.#wildcard : this.#exact
    const key = name.startsWith('*.') ? name.slice(2) : name
    if (!map.has(key)) map.set(key, value)
  }

  /** Looks a name up as the client sent it, a final dot ignored. Undefined when nothing fits. */
  find(serverName: string): T | undefined {
    let name = serverName.toLowerCase()
    if (name.endsWith('.')) name = name.slice(0, -1)
    const exact = this.#exact.get(name)
    if (exact !== undefined) return exact
    const dot = name.indexOf('.')
    return dot <= 0 ? undefined : this.#wildcard.get(name.slice(dot + 1))
  }
}
