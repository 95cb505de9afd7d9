/** What the TLS of a listener promises, seen from outside with openssl and curl. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { needs } from '../setup/tools.ts'
import { ACCESS_LOG, RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { askOpen, connectTo, exchangeBytes, readToEnd } from '../support/raw-client.ts'
import { curl, opensslClient, REQUEST } from '../support/run-command.ts'

const ROUTES = `routes: [{ path: '/*', respond: { status: 200, body: served } }]`
const OPENSSL = needs('openssl')

/** File name, which is also the common name, and what it is for. */
const CERTIFICATES = [
  ['first', 'DNS:first.test'],
  ['exact', 'DNS:api.example.test,DNS:API2.example.test'],
  ['wildcard', 'DNS:*.example.test'],
  ['other', 'DNS:other.test,IP:127.0.0.1'],
] as const

const pair = (name: string): string => `{ certificate: ${name}.pem, key: ${name}-key.pem }`

const CONFIG = `
listeners:
  public:
    address: 127.0.0.1:0
    tls: { certificates: [${CERTIFICATES.map(([name]) => pair(name)).join(', ')}] }
    timeouts: { handshake: 400ms, head: 30s }
  modern: { address: 127.0.0.1:0, tls: { certificates: [${pair('first')}], minVersion: TLSv1.3 } }
  http2: { address: 127.0.0.1:0, http2: true, tls: { certificates: [${pair('first')}] } }
  chosen:
    address: 127.0.0.1:0
    tls: { certificates: [${pair('first')}], ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305:TLS_CHACHA20_POLY1305_SHA256' }
  plain: { address: 127.0.0.1:0 }
${ROUTES}
${ACCESS_LOG}
`

let ca: TestCa
const edge = new RunningEdge(endOfFile())

before(async () => {
  ca = new TestCa('Edge CA')
  for (const [file, altNames] of CERTIFICATES) edge.writePair(file, ca.issue(`/CN=${file}`, altNames))
  edge.write('ca.pem', ca.certificate)
  await edge.start(CONFIG, '--threads', '2')
})
after(() => ca.remove())

const NAMES: readonly (readonly [asked: string | null, served: string])[] = [
  ['first.test', 'first'],
  ['api.example.test', 'exact'],
  ['API.Example.Test', 'exact'],
  ['api2.example.test', 'exact'],
  ['www.example.test', 'wildcard'],
  ['WWW.EXAMPLE.TEST', 'wildcard'],
  ['a.b.example.test', 'first'],
  ['example.test', 'first'],
  ['other.test', 'other'],
  ['unknown.test', 'first'],
  ['x', 'first'],
  [null, 'first'],
]

test('the certificate follows the name that the client asks for', OPENSSL, async () => {
  let ran = 0
  for (const [asked, served] of NAMES) {
    for (const version of ['-tls1_2', '-tls1_3']) {
      const name = asked === null ? ['-noservername'] : ['-servername', asked]
      const { out } = await opensslClient(edge.port('public'), [...name, version])
      assert.match(out, new RegExp(`subject=CN = ${served}\\b`), `${asked} ${version}`)
      assert.match(out, /HTTP\/1\.1 200 /, `${asked} ${version}`)
      ran++
    }
  }
  assert.equal(ran, 24, 'names and versions')
})

const ACCEPTED: readonly (readonly [listener: string, args: string, shown: RegExp])[] = [
  ['public', '-tls1_2', /Protocol *: TLSv1\.2/],
  ['public', '-tls1_3', /New, TLSv1\.3/],
  ['public', '-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256', /Cipher is ECDHE-ECDSA-AES128-GCM-SHA256/],
  ['public', '-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384', /Cipher is ECDHE-ECDSA-AES256-GCM-SHA384/],
  ['public', '-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305', /Cipher is ECDHE-ECDSA-CHACHA20-POLY1305/],
  ['public', '-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384', /Cipher is TLS_AES_256_GCM_SHA384/],
  ['public', '-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256', /Cipher is TLS_CHACHA20_POLY1305_SHA256/],
  ['public', '-groups P-256', /HTTP\/1\.1 200 /],
  ['public', '-groups P-384', /HTTP\/1\.1 200 /],
  ['public', '-groups X25519', /HTTP\/1\.1 200 /],
  ['public', '-alpn http/1.1', /ALPN protocol: http\/1\.1/],
  ['public', '-alpn h2,http/1.1', /ALPN protocol: http\/1\.1/],
  ['http2', '-alpn h2,http/1.1', /ALPN protocol: http\/1\.1/],
  ['http2', '', /No ALPN negotiated/],
  ['modern', '-tls1_3', /New, TLSv1\.3/],
  ['chosen', '-tls1_2', /Cipher is ECDHE-ECDSA-CHACHA20-POLY1305/],
  ['chosen', '-tls1_3', /Cipher is TLS_CHACHA20_POLY1305_SHA256/],
]

test('what a listener offers can be had', OPENSSL, async () => {
  let ran = 0
  for (const [listener, args, shown] of ACCEPTED) {
    const { out, err } = await opensslClient(edge.port(listener), args.split(' ').filter(Boolean))
    assert.match(out, shown, `${listener} ${args}\n${err}`)
    assert.match(out, /HTTP\/1\.1 200 /, `${listener} ${args}`)
    ran++
  }
  assert.equal(ran, 17, 'accepted handshakes')
})

const REFUSED: readonly (readonly [listener: string, args: string])[] = [
  ['public', '-tls1_1 -cipher ALL:@SECLEVEL=0'],
  ['public', '-tls1 -cipher ALL:@SECLEVEL=0'],
  ['public', '-tls1_2 -cipher AES128-SHA'],
  ['public', '-tls1_2 -cipher AES128-GCM-SHA256'],
  ['public', '-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA'],
  ['public', '-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384'],
  ['public', '-tls1_2 -cipher ECDHE-ECDSA-AES128-CCM'],
  ['public', '-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256'],
  ['public', '-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256'],
  ['public', '-tls1_2 -cipher aNULL:@SECLEVEL=0'],
  ['public', '-tls1_2 -cipher eNULL:@SECLEVEL=0'],
  ['public', '-tls1_2 -cipher PSK -psk 00'],
  ['public', '-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256'],
  ['public', '-groups P-521'],
  ['public', '-alpn h2'],
  ['public', '-alpn h3,spdy/3'],
  ['http2', '-alpn h2'],
  ['modern', '-tls1_2'],
  ['modern', '-tls1_1 -cipher ALL:@SECLEVEL=0'],
  ['chosen', '-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['chosen', '-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256'],
]

test('what a listener does not offer is refused in the handshake', OPENSSL, async () => {
  let ran = 0
  for (const [listener, args] of REFUSED) {
    const { out, err } = await opensslClient(edge.port(listener), args.split(' '))
    assert.doesNotMatch(out, /HTTP\/1\.1/, `${listener} ${args}`)
    assert.match(`${out}${err}`, /alert|unexpected eof|no cipher match|no protocols available/, `${listener} ${args}`)
    ran++
  }
  assert.equal(ran, 21, 'refused handshakes')
})

test(
  'curl accepts the certificate by its CA and name, with and without HTTP/2 wishes',
  needs('curl', 'openssl'),
  async () => {
    let ran = 0
    for (const listener of ['public', 'http2', 'modern']) {
      for (const wish of ['--http1.1', '--http2', '--http1.0']) {
        const port = edge.port(listener)
        const at = ['--cacert', join(edge.folder, 'ca.pem'), '--resolve', `first.test:${port}:127.0.0.1`]
        const { out, status, err } = await curl(wish, ...at, `https://first.test:${port}/`)
        assert.equal(out, 'served\n200', `${listener} ${wish}: ${err}`)
        assert.equal(status, 0)
        ran++
      }
    }
    assert.equal(ran, 9, 'curl calls')
  },
)

test('a session resumes on any thread', OPENSSL, async () => {
  let ran = 0
  for (const version of ['-tls1_2', '-tls1_3']) {
    for (const name of ['first.test', 'www.example.test']) {
      const session = join(edge.folder, `session${version}`)
      const first = await opensslClient(edge.port('public'), [version, '-servername', name, '-sess_out', session])
      assert.match(first.out, /New, TLSv1/)
      // The kernel spreads them over two threads: all twelve on the first one has a chance of 1 in 4,096.
      for (let i = 0; i < 12; i++) {
        const again = await opensslClient(edge.port('public'), [version, '-servername', name, '-sess_in', session])
        assert.match(again.out, /Reused, TLSv1/, `${version} ${name} ${i}`)
        assert.match(again.out, /HTTP\/1\.1 200 /)
        ran++
      }
    }
  }
  const { out } = await opensslClient(edge.port('public'), ['-tls1_2', '-reconnect'])
  assert.equal(out.match(/Reused, TLSv1\.2/g)?.length, 5)
  assert.equal(ran, 48, 'resumptions')
})

test('a session of one listener is not taken by another one', OPENSSL, async () => {
  const session = join(edge.folder, 'session-other')
  await opensslClient(edge.port('public'), ['-tls1_3', '-sess_out', session])
  const { out } = await opensslClient(edge.port('modern'), ['-tls1_3', '-sess_in', session])
  assert.match(out, /New, TLSv1\.3/)
})

test('the access log says which version was spoken', async () => {
  const port = edge.port('public')
  for (const [version, path] of [
    ['TLSv1.2', '/old'],
    ['TLSv1.3', '/new'],
  ] as const) {
    const socket = connectTls({
      port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
    })
    const answer = readToEnd(socket)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`)
    assert.match((await answer).text, /^HTTP\/1\.1 200 /)
    const line = await edge.line(path, (one) => one.path === path)
    assert.equal(line.scheme, 'https')
    assert.equal((line.tls as { version: string }).version, version)
    assert.equal((line.tls as { clientCertificate: unknown }).clientCertificate, null)
  }
  await exchangeBytes(edge.port('plain'), 'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const line = await edge.line('/plain', (one) => one.path === '/plain')
  assert.equal(line.tls, null)
  assert.equal(line.scheme, 'http')
})

/** The beginning of a handshake that never goes on. */
const HELLO_START = Buffer.from('16030100f8010000f40303', 'hex')

const STALLED: readonly (readonly [string, Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', HELLO_START.subarray(0, 1)],
  ['half a record header', HELLO_START.subarray(0, 3)],
  ['a record header', HELLO_START.subarray(0, 5)],
  ['the beginning of a ClientHello', HELLO_START],
]

test('a handshake that stalls is cut at timeouts.handshake', async () => {
  let ran = 0
  for (const [what, bytes] of STALLED) {
    const begun = performance.now()
    const { text, error } = await exchangeBytes(edge.port('public'), bytes)
    const took = performance.now() - begun
    assert.doesNotMatch(text, /HTTP/, what)
    assert.notEqual(error, 'still open', what)
    assert.ok(took > 300 && took < 5_000, `${what}: cut after ${took} ms`)
    ran++
  }
  assert.equal(ran, 5, 'stalls')
})

test('a handshake that trickles in is cut at timeouts.handshake too', async () => {
  const socket = await connectTo(edge.port('public'))
  const begun = performance.now()
  let at = 0
  const drip = setInterval(() => {
    if (at < HELLO_START.length) socket.write(HELLO_START.subarray(at, ++at))
  }, 50)
  await readToEnd(socket)
  clearInterval(drip)
  const took = performance.now() - begun
  assert.ok(took > 300 && took < 2_000, `cut after ${took} ms`)
})

const MISFITS: readonly (readonly [string, 'public' | 'plain', string | Buffer])[] = [
  ['plain HTTP on a TLS port', 'public', REQUEST],
  ['an HTTP/2 preface on a TLS port', 'public', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['zeros on a TLS port', 'public', Buffer.alloc(64)],
  ['an SSLv2 hello on a TLS port', 'public', Buffer.from('802e0103010015000000100700c0', 'hex')],
  ['a TLS record of 64 KiB', 'public', Buffer.concat([Buffer.from('160301ffff', 'hex'), Buffer.alloc(65_535)])],
  ['a PROXY line on a TLS port', 'public', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n'],
  ['a ClientHello on a plain port', 'plain', Buffer.concat([HELLO_START, Buffer.alloc(300, 1)])],
  ['a PROXY line on a plain port', 'plain', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an HTTP/2 preface on a plain port', 'plain', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
]

test('what does not belong on a port ends the connection and gets nothing', async () => {
  let ran = 0
  for (const [what, listener, bytes] of MISFITS) {
    const { text, error } = await exchangeBytes(edge.port(listener), bytes)
    assert.doesNotMatch(text, /served/, what)
    assert.match(text, /^$|^HTTP\/1\.1 [45]|^\x15\x03/, what)
    assert.notEqual(error, 'still open', what)
    ran++
  }
  assert.equal(ran, 9, 'misfits')
  assert.match((await exchangeBytes(edge.port('plain'), REQUEST)).text, /served/)
})

test('a client that speaks TLS to a plain port learns at once that it does not', OPENSSL, async () => {
  const { out, err, status } = await opensslClient(edge.port('plain'), [])
  assert.notEqual(status, 0)
  assert.match(`${out}${err}`, /wrong version number|packet length/)
})

test('renegotiation is refused', OPENSSL, async () => {
  const { out, err } = await opensslClient(edge.port('public'), ['-tls1_2', '-legacy_renegotiation'])
  assert.match(out, /HTTP\/1\.1 200 /)
  assert.match(out, /Secure Renegotiation IS supported/)
  assert.doesNotMatch(err, /renegotiated/)
})

test('new certificates on disk are served after a reload, and open connections go on', OPENSSL, async () => {
  const port = edge.port('public')
  const open = connectTls({ port, host: '127.0.0.1', servername: 'first.test', rejectUnauthorized: false })
  await once(open, 'secureConnect')
  const request = 'GET /kept HTTP/1.1\r\nHost: a.test\r\n\r\n'
  const whole = (text: string): boolean => text.endsWith('served')
  await askOpen(open, request, whole)
  for (const name of ['first', 'wildcard']) {
    const [, altNames] = CERTIFICATES.find(([file]) => file === name) as (typeof CERTIFICATES)[number]
    edge.writePair(name, ca.issue(`/CN=${name}-renewed`, altNames))
  }
  const before = await opensslClient(port, ['-servername', 'first.test'])
  assert.match(before.out, /subject=CN = first\n/)
  await edge.reload()
  for (let i = 0; i < 4; i++) {
    for (const [asked, served] of [
      ['first.test', 'first-renewed'],
      ['www.example.test', 'wildcard-renewed'],
      ['other.test', 'other'],
    ] as const) {
      const { out } = await opensslClient(port, ['-servername', asked])
      assert.match(out, new RegExp(`subject=CN = ${served}\\n`))
    }
  }
  assert.match(await askOpen(open, request, whole), /^HTTP\/1\.1 200 /)
  assert.equal(open.getPeerX509Certificate()?.subject, 'CN=first')
  open.destroy()
})

test('a reload with a key that does not fit changes nothing', OPENSSL, async () => {
  const good = ca.issue('/CN=first-good', 'DNS:first.test')
  edge.writePair('first', { certificate: good.certificate, key: ca.issue('/CN=x', 'DNS:x.test').key })
  await assert.rejects(edge.reload(), /is not the key of this certificate/)
  const { out } = await opensslClient(edge.port('public'), ['-servername', 'first.test'])
  assert.match(out, /subject=CN = first-renewed\n/)
  edge.writePair('first', good)
  await edge.reload()
  assert.match((await opensslClient(edge.port('public'), [])).out, /subject=CN = first-good\n/)
})
