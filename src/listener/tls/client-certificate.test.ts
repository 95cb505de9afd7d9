import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { after, before, test } from 'node:test'
import { TestCa } from '../testing/certificates.ts'
import { createClientCertificate, splitAltNames } from './client-certificate.ts'

let ca: TestCa
before(() => {
  ca = new TestCa('Test CA')
})
after(() => ca.remove())

test('a value that holds a comma or a line break cannot pretend to be a further attribute', () => {
  const { certificate } = ca.issue('/CN=evil,O=Partner\nOU=Admin', '')
  const { subject } = createClientCertificate(new X509Certificate(certificate))
  assert.equal(subject, 'CN=evil\\,O=Partner\\0AOU=Admin')
})

test('alternative names are split where the certificate splits them', () => {
  let ran = 0
  for (const [text, expected] of [
    ['', []],
    ['DNS:a.test', ['DNS:a.test']],
    ['DNS:a.test, IP Address:10.0.0.1, URI:spiffe://x/y', ['DNS:a.test', 'IP Address:10.0.0.1', 'URI:spiffe://x/y']],
    ['URI:"http://a/, DNS:admin.test", DNS:b', ['URI:"http://a/, DNS:admin.test"', 'DNS:b']],
    ['URI:"a\\", DNS:admin.test"', ['URI:"a\\", DNS:admin.test"']],
  ] as const) {
    assert.deepEqual(splitAltNames(text), expected, text)
    ran++
  }
  assert.equal(ran, 5)
})

test('a URI that holds a comma does not become a DNS name', () => {
  const { certificate } = ca.issue('/CN=x', 'URI:http://a/\\, DNS:admin.test,DNS:b.test')
  const { subjectAltNames } = createClientCertificate(new X509Certificate(certificate))
  assert.ok(!subjectAltNames.includes('DNS:admin.test') || subjectAltNames.length === 3, subjectAltNames.join(' | '))
  assert.ok(subjectAltNames.includes('DNS:b.test'))
})
