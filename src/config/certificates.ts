import { createPrivateKey, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { problemAt } from '../schema/problems.ts'
import type { Path } from '../schema/walk.ts'
import type { Draft } from './draft.ts'
import type { Findings } from './findings.ts'
import { type ReferenceSource, reasonOf } from './references.ts'

/** Enough for every public CA there is, several times. */
const MAX_PEM_BYTES = 4 * 1024 * 1024

/**
 * Reads every certificate and key that the draft names and puts its PEM text in the place of its path.
 * Reports those that cannot be read or understood, keys that do not fit, and certificates outside their time.
 */
export function readCertificates(draft: Draft, source: ReferenceSource, nowMs: number, findings: Findings): void {
  const reader = new PemReader(source, nowMs, findings)
  for (const [name, { tls }] of draft.listeners) {
    if (tls === null) continue
    const at = ['listeners', name, 'tls']
    for (const [index, pair] of tls.certificates.entries()) {
      reader.pair(pair, [...at, 'certificates', index])
    }
    if (tls.clientCertificate !== null) {
      const path = [...at, 'clientCertificate', 'ca']
      tls.clientCertificate.ca = reader.certificates(tls.clientCertificate.ca, path)?.text ?? ''
    }
  }
  for (const [name, upstream] of draft.upstreams) {
    const tls = upstream?.tls ?? null
    if (tls === null) continue
    const at = ['upstreams', name, 'tls']
    if (tls.ca !== null) tls.ca = reader.certificates(tls.ca, [...at, 'ca'])?.text ?? ''
    if (tls.certificate !== null && tls.key !== null) {
      const pair = { certificate: tls.certificate, key: tls.key }
      reader.pair(pair, at)
      tls.certificate = pair.certificate
      tls.key = pair.key
    }
  }
}

class PemReader {
  readonly #source: ReferenceSource
  readonly #nowMs: number
  readonly #findings: Findings

  constructor(source: ReferenceSource, nowMs: number, findings: Findings) {
    this.#source = source
    this.#nowMs = nowMs
    this.#findings = findings
  }

  /** Reads a certificate and its key in place. */
  pair(pair: { certificate: string; key: string }, path: Path): void {
    const certificate = this.certificates(pair.certificate, [...path, 'certificate'])
    const keyPath = [...path, 'key']
    const key = this.#text(pair.key, keyPath)
    pair.certificate = certificate?.text ?? ''
    pair.key = key ?? ''
    if (key === null) return
    try {
      const privateKey = createPrivateKey(key)
      if (certificate !== null && !certificate.first.checkPrivateKey(privateKey)) {
        this.#problem(keyPath, 'is not the key of this certificate')
      }
    } catch {
      // The library's own text could quote the file, so it is not passed on.
      const encrypted = key.includes('ENCRYPTED')
      this.#problem(
        keyPath,
        encrypted ? 'is encrypted|decrypt it: nobody can type a passphrase here' : 'is not a private key in PEM',
      )
    }
  }

  /** Reads one or more certificates; null when there is a problem, which is reported. */
  certificates(file: string, path: Path): { text: string; first: X509Certificate } | null {
    const text = this.#text(file, path)
    if (text === null) return null
    const blocks =
      text.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g) ??
      []
    if (blocks.length === 0) {
      this.#problem(path, 'has no certificate in PEM')
      return null
    }
    try {
      const all = blocks.map((block) => new X509Certificate(block))
      const first = all[0]!
      if (Date.parse(first.validTo) < this.#nowMs) this.#warn(path, `has expired on ${first.validTo}|renew it`)
      if (Date.parse(first.validFrom) > this.#nowMs) this.#warn(path, `is not valid before ${first.validFrom}`)
      return { text, first }
    } catch {
      this.#problem(path, 'has a certificate that cannot be read')
      return null
    }
  }

  #text(file: string, path: Path): string | null {
    try {
      return this.#source.readFile(resolve(this.#source.directory, file), MAX_PEM_BYTES).toString('latin1')
    } catch (error) {
      this.#findings.problems.push({ ...problemAt(path, `cannot be read: ${reasonOf(error)}`), quoteValue: true })
      return null
    }
  }

  #problem(path: Path, text: string): void {
    this.#findings.problems.push({ ...problemAt(path, text), quoteValue: true })
  }

  #warn(path: Path, text: string): void {
    this.#findings.warnings.push(problemAt(path, text))
  }
}
