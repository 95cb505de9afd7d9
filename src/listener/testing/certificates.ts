import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toolPath } from '../../../test/setup/tools.ts'
import type { CertificatePair } from '../tls/secure-context.ts'

/** A certificate authority made by openssl for one test file. */
export class TestCa {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sallyport-ca-'))
  #serial = 1
  /** The CA's own certificate, PEM. */
  readonly certificate: string

  constructor(name: string) {
    this.#openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
    )
    this.certificate = this.#read('ca.pem')
  }

  /**
   * Signs a new certificate.
   * @param subject openssl's form, `/CN=partner-1/O=Partner`
   * @param altNames `DNS:a.test,URI:spiffe://a`; '' for none
   * @param days it is valid for; negative: it has expired
   */
  issue(subject: string, altNames: string, days = 20): CertificatePair {
    this.#openssl(
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-utf8',
      '-subj',
      subject,
      '-keyout',
      'leaf.key',
      '-out',
      'leaf.csr',
    )
    writeFileSync(join(this.#folder, 'ext'), altNames === '' ? '' : `subjectAltName=${altNames}\n`)
    this.#openssl(
      'x509',
      '-req',
      '-in',
      'leaf.csr',
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-set_serial',
      String(++this.#serial),
      '-days',
      String(days),
      '-extfile',
      'ext',
      '-out',
      'leaf.pem',
    )
    return { certificate: this.#read('leaf.pem'), key: this.#read('leaf.key') }
  }

  /** The CA's own certificate and key: self-signed. */
  get pair(): CertificatePair {
    return { certificate: this.certificate, key: this.#read('ca.key') }
  }

  /** Removes its files. */
  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #openssl(...args: string[]): void {
    execFileSync(toolPath('openssl'), args, { cwd: this.#folder, stdio: 'pipe' })
  }

  #read(name: string): string {
    return readFileSync(join(this.#folder, name), 'utf8')
  }
}
