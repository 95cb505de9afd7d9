import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { CidrSet } from '../../base/cidr.ts'
import { writeProxyV2 } from '../proxy-protocol/write.ts'
import { TestCa } from '../testing/certificates.ts'
import { type OpenListener, openListener, readAll } from '../testing/open-listener.ts'
import type { CertificatePair, TlsSettings } from './secure-context.ts'

const LIMITS = { connections: 100, connectionsPerClient: 100, handshakes: 100, handshakesPerClient: 100 }
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

let ca: TestCa
let foreignCa: TestCa
let edge: CertificatePair
let wildcard: CertificatePair
let partner: CertificatePair
let foreigner: CertificatePair

before(() => {
  ca = new TestCa('Test CA')
  foreignCa = new TestCa('Foreign CA')
  edge = ca.issue('/CN=edge', 'DNS:a.test,DNS:localhost')
  wildcard = ca.issue('/CN=wildcard', 'DNS:*.b.test')
  partner = ca.issue('/CN=partner-1/O=Partner, Inc', 'DNS:p.test,URI:spiffe://partner')
  foreigner = foreignCa.issue('/CN=partner-1', '')
})
after(() => {
  ca.remove()
  foreignCa.remove()
})

const tlsOf = (mode: 'none' | 'request' | 'require' = 'none', more: Partial<TlsSettings> = {}): TlsSettings => ({
  certificates: [edge, wildcard],
  minVersion: 'TLSv1.2',
  clientCertificate: mode === 'none' ? null : { ca: ca.certificate, mode },
  ...more,
})

/** Opens a TLS client; it ends with the test. */
function dial(t: TestContext, open: OpenListener, options: ConnectionOptions = {}): TLSSocket {
  const client = connect({ port: open.port, host: '127.0.0.1', servername: 'a.test', ca: ca.certificate, ...options })
  client.on('error', () => {})
  t.after(() => client.destroy())
  return client
}

/** True when the client's handshake was accepted by both sides: the server echoes a byte. False: it was closed. */
async function isServed(open: OpenListener, client: TLSSocket): Promise<boolean> {
  client.write('x')
  const closed = new Promise<boolean>((resolve) => client.on('close', () => resolve(false)))
  const served = open
    .until(() => open.delivered.length > 0)
    .then(async () => {
      const { socket } = open.delivered[0]!
      socket.on('data', (chunk) => socket.write(chunk))
      await once(client, 'data')
      return true
    })
  return Promise.race([closed, served])
}

test('a connection is delivered after its handshake with what TLS established', async (t) => {
  const open = await openListener(t, { tls: tlsOf() })
  for (const version of VERSIONS) {
    const client = dial(t, open, { maxVersion: version, minVersion: version })
    const { socket, info, firstBytes } = await open.next()
    assert.equal(info.scheme, 'https')
    assert.equal(firstBytes, null)
    assert.equal(info.tls?.version, version)
    assert.equal(info.tls?.serverName, 'a.test')
    assert.equal(info.tls?.clientCertificate, null)
    assert.match(info.tls?.cipher ?? '', version === 'TLSv1.3' ? /^TLS_AES_/ : /^ECDHE-ECDSA-.*(GCM|POLY1305)/)
    const data = once(socket, 'data')
    client.write('hello')
    assert.equal(String((await data)[0]), 'hello')
  }
  assert.deepEqual([open.failed, open.listener.table.handshakes], [[], 0])
})

test('the certificate is chosen by server name: exact, one wildcard label, else the first', async (t) => {
  const open = await openListener(t, { tls: tlsOf() })
  let ran = 0
  for (const [name, expected] of [
    ['a.test', 'edge'],
    ['A.TEST', 'edge'],
    ['x.b.test', 'wildcard'],
    ['b.test', 'edge'],
    ['x.y.b.test', 'edge'],
    ['unknown.test', 'edge'],
    ['', 'edge'],
  ]) {
    const client = dial(t, open, { servername: name, checkServerIdentity: () => undefined })
    await once(client, 'secureConnect')
    assert.equal(client.getPeerCertificate().subject.CN, expected, name)
    await open.next()
    ran++
  }
  assert.equal(ran, 7, 'server names')
})

test('a client with an older version, or only other protocols, is refused', async (t) => {
  const open = await openListener(t, { tls: tlsOf('none', { minVersion: 'TLSv1.3' }) })
  for (const options of [{ maxVersion: 'TLSv1.2' }, { ALPNProtocols: ['spdy/3', 'ftp'] }] as ConnectionOptions[]) {
    const client = dial(t, open, options)
    const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException]
    assert.match(error.code ?? '', /ALERT/)
  }
  await open.until(() => open.failed.length === 2)
  assert.deepEqual(open.failed[0], ['tls-handshake-failed', '127.0.0.1'])
  assert.deepEqual([open.delivered.length, open.listener.openConnections], [0, 0])
})

test('http/1.1 is chosen by ALPN among others', async (t) => {
  const open = await openListener(t, { tls: tlsOf() })
  const client = dial(t, open, { ALPNProtocols: ['h2', 'http/1.1'] })
  await once(client, 'secureConnect')
  assert.equal(client.alpnProtocol, 'http/1.1')
})

test('CBC and RSA key exchange are not spoken, X25519 and P-256 are', async (t) => {
  const open = await openListener(t, { tls: tlsOf() })
  for (const ciphers of ['ECDHE-ECDSA-AES128-SHA256', 'AES128-GCM-SHA256', 'DHE-RSA-AES128-GCM-SHA256']) {
    const client = dial(t, open, { maxVersion: 'TLSv1.2', ciphers })
    await once(client, 'error')
  }
  for (const ecdhCurve of ['X25519', 'P-256']) {
    const client = dial(t, open, { ecdhCurve })
    await once(client, 'secureConnect')
    assert.equal(
      (client.getEphemeralKeyInfo() as { name: string }).name,
      ecdhCurve === 'P-256' ? 'prime256v1' : ecdhCurve,
    )
  }
})

test('bytes that are no TLS are refused', async (t) => {
  const open = await openListener(t, { tls: tlsOf() })
  open.connect().write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await open.until(() => open.failed.length === 1)
  assert.deepEqual(open.failed, [['tls-handshake-failed', '127.0.0.1']])
})

test('a client that goes away inside its handshake frees its place', async (t) => {
  const open = await openListener(t, { tls: tlsOf() })
  for (const end of ['end', 'resetAndDestroy'] as const) {
    const client = open.connect()
    client.write(Buffer.from([0x16, 0x03, 0x01]))
    const wanted = end === 'end' ? 1 : 2
    await open.until(() => open.accepted === wanted)
    client[end]()
    await open.until(() => open.failed.length === wanted)
  }
  assert.deepEqual([open.listener.openConnections, open.listener.table.handshakes], [0, 0])
})

test('a handshake that trickles in is ended in time, though bytes keep coming', async (t) => {
  const open = await openListener(t, { tls: tlsOf(), timeouts: { handshakeMs: 120 } })
  const client = open.connect()
  client.write(Buffer.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01))
  const body = setInterval(() => client.write(Buffer.of(0)), 20)
  t.after(() => clearInterval(body))
  await open.until(() => open.failed.length === 1)
  assert.deepEqual(open.failed, [['tls-handshake-timeout', '127.0.0.1']])
})

test('handshakes beyond the limit are closed', async (t) => {
  const open = await openListener(t, { tls: tlsOf(), limits: { ...LIMITS, handshakesPerClient: 1 } })
  open.connect().write(Buffer.of(0x16))
  await open.until(() => open.accepted === 1)
  await readAll(open.connect())
  assert.deepEqual(open.failed, [['connections-exceeded', '127.0.0.1']])
})

test('TLS starts after a trusted PROXY header, in the same segment too', async (t) => {
  const open = await openListener(t, { tls: tlsOf(), proxyProtocol: new CidrSet(['127.0.0.1']) })
  const raw = open.connect()
  const ends = { sourceIp: '2001:db8::5', sourcePort: 9, destinationIp: '2001:db8::1', destinationPort: 443 }
  raw.cork()
  raw.write(writeProxyV2(ends, { authority: 'a.test' }))
  const client = connect({ socket: raw, servername: 'a.test', ca: ca.certificate })
  client.on('error', () => {})
  setImmediate(() => raw.uncork())
  t.after(() => client.destroy())
  const { socket, info } = await open.next()
  assert.deepEqual([info.peerIp, info.scheme, info.proxyTlvs?.length], ['2001:db8::5', 'https', 1])
  const data = once(socket, 'data')
  client.write('after')
  assert.equal(String((await data)[0]), 'after')
})

test('a half-closed TLS client can still be answered', async (t) => {
  const open = await openListener(t, { tls: tlsOf() })
  const client = dial(t, open, { allowHalfOpen: true } as ConnectionOptions)
  client.end('request')
  const { socket } = await open.next()
  socket.resume()
  await once(socket, 'end')
  socket.end('answer')
  assert.equal(String((await once(client, 'data'))[0]), 'answer')
})

test('with require only a client with a valid certificate is served, and its identity is known', async (t) => {
  for (const version of VERSIONS) {
    const open = await openListener(t, { tls: tlsOf('require') })
    const options = { minVersion: version, maxVersion: version }
    assert.equal(await isServed(open, dial(t, open, options)), false, 'without')
    const foreign = { cert: foreigner.certificate, key: foreigner.key }
    assert.equal(await isServed(open, dial(t, open, { ...options, ...foreign })), false, 'foreign')
    assert.equal(open.delivered.length, 0)
    const own = { cert: partner.certificate, key: partner.key }
    assert.equal(await isServed(open, dial(t, open, { ...options, ...own })), true, 'own')
    const certificate = open.delivered[0]!.info.tls!.clientCertificate!
    assert.equal(certificate.subject, 'CN=partner-1,O=Partner\\, Inc')
    assert.equal(certificate.issuer, 'CN=Test CA')
    assert.deepEqual(certificate.subjectAltNames, ['DNS:p.test', 'URI:spiffe://partner'])
    assert.match(certificate.fingerprint, /^[0-9a-f]{64}$/)
    assert.ok(certificate.notAfterMs > Date.now())
    assert.equal(open.failed.length, 2)
  }
})

test('with request a client may have no certificate, but not an invalid one', async (t) => {
  for (const version of VERSIONS) {
    const open = await openListener(t, { tls: tlsOf('request') })
    const options = { minVersion: version, maxVersion: version }
    const foreign = { cert: foreigner.certificate, key: foreigner.key }
    assert.equal(await isServed(open, dial(t, open, { ...options, ...foreign })), false, 'foreign')
    assert.equal(await isServed(open, dial(t, open, options)), true, 'without')
    assert.equal(open.delivered.shift()!.info.tls!.clientCertificate, null)
    const own = { cert: partner.certificate, key: partner.key }
    assert.equal(await isServed(open, dial(t, open, { ...options, ...own })), true, 'own')
    assert.match(open.delivered.shift()!.info.tls!.clientCertificate!.subject, /^CN=partner-1,/)
  }
})

/** Serves one connection and returns the session the client may resume. */
async function firstSession(t: TestContext, open: OpenListener, options: ConnectionOptions): Promise<Buffer> {
  const client = dial(t, open, options)
  const session = once(client, 'session') as Promise<[Buffer]>
  assert.equal(await isServed(open, client), true)
  open.delivered.shift()
  return (await session)[0]
}

test('a session is resumed on another thread, with the identity of its client certificate', async (t) => {
  const keys = Buffer.alloc(48, 9)
  for (const version of VERSIONS) {
    for (const mode of ['require', 'request'] as const) {
      const one = await openListener(t, { tls: tlsOf(mode) }, keys)
      const two = await openListener(t, { tls: tlsOf(mode) }, keys)
      const own = { cert: partner.certificate, key: partner.key, minVersion: version, maxVersion: version }
      const session = await firstSession(t, one, own)
      // Without its key: only the session can tell who it is.
      const again = dial(t, two, { minVersion: version, maxVersion: version, session })
      assert.equal(await isServed(two, again), true)
      assert.equal(again.isSessionReused(), true)
      assert.match(two.delivered[0]!.info.tls!.clientCertificate!.subject, /^CN=partner-1,/)
    }
  }
})

test('a session made without a certificate does not get past a listener that requires one', async (t) => {
  const keys = Buffer.alloc(48, 9)
  for (const version of VERSIONS) {
    const options = { minVersion: version, maxVersion: version }
    for (const mode of ['request', 'none'] as const) {
      const lax = await openListener(t, { tls: tlsOf(mode) }, keys)
      const strict = await openListener(t, { tls: tlsOf('require') }, keys)
      const session = await firstSession(t, lax, options)
      assert.equal(await isServed(strict, dial(t, strict, { ...options, session })), false, `${version} ${mode}`)
      assert.equal(strict.delivered.length, 0)
    }
  }
})

test('a session verified against an old CA is not resumed after the CA was replaced', async (t) => {
  for (const version of VERSIONS) {
    const open = await openListener(t, { tls: tlsOf('require') })
    const own = { cert: partner.certificate, key: partner.key, minVersion: version, maxVersion: version }
    const session = await firstSession(t, open, own)
    const replaced = tlsOf('none', { clientCertificate: { ca: foreignCa.certificate, mode: 'require' } })
    open.listener.update({ ...open.settings, tls: replaced })
    assert.equal(await isServed(open, dial(t, open, { ...own, session })), false, version)
  }
})

test('a session is not resumed once its client certificate has expired', async (t) => {
  for (const version of VERSIONS) {
    const open = await openListener(t, { tls: tlsOf('require') })
    const own = { cert: partner.certificate, key: partner.key, minVersion: version, maxVersion: version }
    const session = await firstSession(t, open, own)
    open.clockAheadMs = 21 * 24 * 3600 * 1000
    assert.equal(await isServed(open, dial(t, open, { ...own, session })), false, version)
  }
})

test('the session of an invalid certificate does not serve its bearer later', async (t) => {
  for (const version of VERSIONS) {
    const open = await openListener(t, { tls: tlsOf('request') })
    const foreign = { cert: foreigner.certificate, key: foreigner.key, minVersion: version, maxVersion: version }
    const client = dial(t, open, foreign)
    let session: Buffer | undefined
    client.on('session', (ticket) => {
      session = ticket
    })
    assert.equal(await isServed(open, client), false)
    assert.equal(await isServed(open, dial(t, open, { ...foreign, session })), false)
    assert.equal(open.delivered.length, 0)
  }
})

test('new ticket keys end old sessions; the client is served by a full handshake', async (t) => {
  for (const version of VERSIONS) {
    const open = await openListener(t, { tls: tlsOf() })
    const options = { minVersion: version, maxVersion: version }
    const session = await firstSession(t, open, options)
    open.listener.update(open.settings, Buffer.alloc(48, 1))
    const again = dial(t, open, { ...options, session })
    assert.equal(await isServed(open, again), true)
    assert.equal(again.isSessionReused(), false)
  }
})

test('a reload changes the certificate for new connections, and a bad one changes nothing', async (t) => {
  const open = await openListener(t, { tls: tlsOf('none', { certificates: [edge] }) })
  const client = dial(t, open)
  const old = await open.next()
  const bad = { certificate: edge.certificate, key: wildcard.key }
  const broken = { ...open.settings, tls: tlsOf('none', { certificates: [edge, bad] }) }
  assert.throws(() => open.listener.update(broken), /listener public: certificate 2 cannot be used: /)
  open.listener.update({ ...open.settings, tls: tlsOf('none', { certificates: [wildcard] }) })
  const next = dial(t, open, { checkServerIdentity: () => undefined })
  await once(next, 'secureConnect')
  assert.equal(next.getPeerCertificate().subject.CN, 'wildcard')
  const data = once(old.socket, 'data')
  client.write('still')
  assert.equal(String((await data)[0]), 'still')
})

test('a client that asks to renegotiate is not followed', async (t) => {
  const open = await openListener(t, { tls: tlsOf() })
  const client = dial(t, open, { maxVersion: 'TLSv1.2' })
  await once(client, 'secureConnect')
  const [error] = await new Promise<[Error | null]>((resolve) => {
    client.on('error', (cause) => resolve([cause]))
    client.renegotiate({}, (cause) => resolve([cause]))
  })
  assert.ok(error)
})
