/** Client certificates at a listener, seen from outside with openssl. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { needs } from '../setup/tools.ts'
import { ACCESS_LOG, RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { opensslClient } from '../support/run-command.ts'

const OPENSSL = needs('openssl')
const MODES = ['require', 'request'] as const
const VERSIONS = ['-tls1_2', '-tls1_3'] as const

const listener = (mode: string): string => `
  ${mode}:
    address: 127.0.0.1:0
    tls:
      certificates: [{ certificate: edge.pem, key: edge-key.pem }]
      clientCertificate: { ca: clients-ca.pem, mode: ${mode} }`

const config = (extra = ''): string => `
listeners:${MODES.map(listener).join('')}
  open: { address: 127.0.0.1:0, tls: { certificates: [{ certificate: edge.pem, key: edge-key.pem }] } }
${extra}
routes: [{ path: '/*', respond: { status: 200, body: served } }]
${ACCESS_LOG}
`

let clientsCa: TestCa
const edge = new RunningEdge(endOfFile())

before(async () => {
  clientsCa = new TestCa('Clients CA')
  const foreignCa = new TestCa('Clients CA')
  const edgeCa = new TestCa('Edge CA')
  edge.writePair('edge', edgeCa.issue('/CN=edge', 'DNS:a.test'))
  edge.writePair('partner', clientsCa.issue('/CN=partner-1/O=Partner, Inc', 'DNS:p.test'))
  edge.writePair('expired', clientsCa.issue('/CN=partner-2', '', -1))
  edge.writePair('foreign', foreignCa.issue('/CN=partner-1/O=Partner, Inc', 'DNS:p.test'))
  edge.writePair('of-the-edge', edgeCa.issue('/CN=partner-1', ''))
  edge.write('clients-ca.pem', clientsCa.certificate)
  for (const ca of [foreignCa, edgeCa]) ca.remove()
  await edge.start(config(), '--threads', '2')
})
after(() => clientsCa.remove())

/** How each certificate fares where one is required, where one is asked for, and where none is. */
const CLIENTS: readonly (readonly [pair: string | null, require: boolean, request: boolean])[] = [
  ['partner', true, true],
  [null, false, true],
  ['expired', false, false],
  ['foreign', false, false],
  ['of-the-edge', false, false],
]

/** Asks for a path of its own, so that its log line can be found. */
let asked = 0
function ask(
  name: string,
  args: readonly string[],
  pair: string | null,
): Promise<{ path: string; out: string; err: string }> {
  const path = `/${name}-${++asked}`
  const own =
    pair === null ? [] : ['-cert', join(edge.folder, `${pair}.pem`), '-key', join(edge.folder, `${pair}-key.pem`)]
  const request = `GET ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`
  return opensslClient(edge.port(name), [...args, ...own], request).then(({ out, err }) => ({ path, out, err }))
}

const tlsOf = async (path: string): Promise<unknown> => {
  const { tls } = await edge.line(path, (one) => one.path === path)
  return (tls as { clientCertificate: unknown }).clientCertificate
}

test('a client is served or refused by its certificate, and the log names it', OPENSSL, async () => {
  let ran = 0
  for (const [pair, require, request] of CLIENTS) {
    for (const [name, isServed] of [
      ['require', require],
      ['request', request],
      ['open', true],
    ] as const) {
      for (const version of VERSIONS) {
        const what = `${pair} ${name} ${version}`
        const { path, out, err } = await ask(name, [version], pair)
        if (isServed) {
          assert.match(out, /HTTP\/1\.1 200 /, `${what}: ${err}`)
          const known = pair === 'partner' && name !== 'open'
          assert.equal(await tlsOf(path), known ? 'CN=partner-1,O=Partner\\, Inc' : null, what)
        } else {
          assert.doesNotMatch(out, /HTTP\/1\.1/, what)
        }
        ran++
      }
    }
  }
  assert.equal(ran, 30, 'certificates, listeners and versions')
  const refused = edge.log().filter(({ path }) => path === null)
  assert.deepEqual(refused, [])
})

test('a resumed session keeps the identity, on any thread, and none comes by one without it', OPENSSL, async () => {
  let ran = 0
  for (const version of VERSIONS) {
    const session = join(edge.folder, `client${version}`)
    assert.match((await ask('require', [version, '-sess_out', session], 'partner')).out, /New, TLSv1/)
    for (let i = 0; i < 6; i++) {
      const { path, out } = await ask('require', [version, '-sess_in', session], null)
      assert.match(out, /Reused, TLSv1/)
      assert.match(out, /HTTP\/1\.1 200 /)
      assert.equal(await tlsOf(path), 'CN=partner-1,O=Partner\\, Inc')
      ran++
    }
    const none = join(edge.folder, `none${version}`)
    assert.match((await ask('request', [version, '-sess_out', none], null)).out, /HTTP\/1\.1 200 /)
    assert.doesNotMatch((await ask('require', [version, '-sess_in', none], null)).out, /HTTP\/1\.1/)
    const open = join(edge.folder, `open${version}`)
    assert.match((await ask('open', [version, '-sess_out', open], null)).out, /HTTP\/1\.1 200 /)
    assert.doesNotMatch((await ask('require', [version, '-sess_in', open], null)).out, /HTTP\/1\.1/)
    ran += 2
  }
  assert.equal(ran, 16, 'sessions')
})

test('a client learns which CA is wanted', OPENSSL, async () => {
  const { out } = await ask('request', ['-tls1_3'], null)
  assert.match(out, /Acceptable client certificate CA names\nCN = Clients CA/)
})

test('after a reload with another CA old certificates and old sessions end', OPENSSL, async () => {
  const session = join(edge.folder, 'before-reload')
  assert.match((await ask('require', ['-tls1_3', '-sess_out', session], 'partner')).out, /HTTP\/1\.1 200 /)
  const next = new TestCa('Next CA')
  edge.write('clients-ca.pem', next.certificate)
  edge.writePair('next', next.issue('/CN=partner-9', ''))
  next.remove()
  await edge.reload()
  for (let i = 0; i < 4; i++) {
    assert.doesNotMatch((await ask('require', ['-tls1_3', '-sess_in', session], null)).out, /HTTP\/1\.1/)
    assert.doesNotMatch((await ask('require', ['-tls1_2'], 'partner')).out, /HTTP\/1\.1/)
    const { path, out } = await ask('require', ['-tls1_3'], 'next')
    assert.match(out, /HTTP\/1\.1 200 /)
    assert.equal(await tlsOf(path), 'CN=partner-9')
  }
})
