import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { TestCa } from '../testing/certificates.ts'
import { createSecureContexts, type TlsSettings } from './secure-context.ts'
import { readServerNames, ServerNameMap } from './server-names.ts'

const KEYS = Buffer.alloc(48)
let ca: TestCa
before(() => {
  ca = new TestCa('Test CA')
})
after(() => ca.remove())

const tls = (certificates: TlsSettings['certificates']): TlsSettings => ({
  certificates,
  minVersion: 'TLSv1.2',
  clientCertificate: null,
})

test('unusable certificates are named by listener and place', () => {
  const good = ca.issue('/CN=a', 'DNS:a.test')
  const other = ca.issue('/CN=b', 'DNS:b.test')
  const create = (...pairs: (typeof good)[]) => createSecureContexts('public', tls(pairs), KEYS)
  assert.throws(() => create(), /listener public: tls needs at least one certificate/)
  assert.throws(() => create({ certificate: 'nonsense', key: good.key }), /public: certificate 1 cannot be used: /)
  assert.throws(() => create(good, { certificate: good.certificate, key: other.key }), /certificate 2 cannot be used: /)
  assert.throws(() => createSecureContexts('public', tls([good]), Buffer.alloc(47)), /48 bytes/)
})

test('the names of a certificate are its alternative names, its common name only without any', () => {
  const names = (subject: string, altNames: string) => readServerNames(ca.issue(subject, altNames).certificate)
  assert.deepEqual(names('/CN=cn.test', 'DNS:A.test,DNS:*.b.test,IP:10.0.0.1'), ['a.test', '*.b.test'])
  assert.deepEqual(names('/O=x/CN=CN.test', ''), ['cn.test'])
  assert.deepEqual(names('/CN=cn.test', 'IP:10.0.0.1'), [])
  assert.deepEqual(names('/O=x', ''), [])
})

test('an exact name goes before a wildcard, which stands for one label', () => {
  const map = new ServerNameMap<number>()
  map.add('*.example.com', 1)
  map.add('api.example.com', 2)
  map.add('api.example.com', 3)
  let ran = 0
  for (const [name, expected] of [
    ['api.example.com', 2],
    ['API.example.com.', 2],
    ['www.example.com', 1],
    ['a.www.example.com', undefined],
    ['example.com', undefined],
    ['.example.com', undefined],
    ['com', undefined],
    ['', undefined],
  ] as const) {
    assert.equal(map.find(name), expected, name)
    ran++
  }
  assert.equal(ran, 8)
})
