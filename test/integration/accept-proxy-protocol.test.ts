/** PROXY protocol at a listener: whom it is demanded from, whom it is refused from, and what follows from it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { freePorts, runHaproxy } from '../../src/listener/testing/haproxy.ts'
import { needs } from '../setup/tools.ts'
import { ACCESS_LOG, RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { type EchoEndpoint, echoEndpoint } from '../support/endpoints.ts'
import { ENDS, rawV2, v1, v2 } from '../support/proxy-headers.ts'
import { connectTo, exchangeBytes, type RawAnswer, readToEnd } from '../support/raw-client.ts'
import { curl } from '../support/run-command.ts'

/** The named sender, and somebody else, both on this machine. */
const SENDER = '127.0.0.7'
const STRANGER = '127.0.0.1'
const HEAD_MS = 500

const ending = endOfFile()
const edge = new RunningEdge(ending)
let app: EchoEndpoint
let ca: TestCa

before(async () => {
  ca = new TestCa('Edge CA')
  edge.writePair('edge', ca.issue('/CN=edge', 'DNS:a.test'))
  app = await echoEndpoint(ending)
  const one = (name: string, more: string): string =>
    `  ${name}: { address: 127.0.0.1:0, proxyProtocol: { from: [${SENDER}/32] }, timeouts: { handshake: ${HEAD_MS}ms }${more} }`
  await edge.start(`
listeners:
${one('plain', '')}
${one('secure', ', tls: { certificates: [{ certificate: edge.pem, key: edge-key.pem }] }')}
  none: { address: 127.0.0.1:0 }
upstreams:
  app: { endpoints: ['${app.url}'] }
routes:
  - { path: /*, upstream: app }
  - { path: /inside/*, from: [203.0.113.0/24], respond: { status: 200, body: inside } }
  - { path: /inside/*, respond: { status: 403, body: outside } }
${ACCESS_LOG}
`)
})
after(() => ca.remove())

let asked = 0
const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`
const nextPath = (): string => `/p${++asked}`

/** Sends a header and then a request, on the plain port or in TLS. */
async function through(listener: 'plain' | 'secure', header: Buffer, path: string, from = SENDER): Promise<RawAnswer> {
  const socket = await connectTo(edge.port(listener), '127.0.0.1', from)
  socket.write(listener === 'plain' ? Buffer.concat([header, Buffer.from(request(path))]) : header)
  if (listener === 'plain') return readToEnd(socket)
  const tls = connectTls({ socket, servername: 'a.test', ca: ca.certificate })
  const answer = readToEnd(tls)
  tls.once('secureConnect', () => tls.write(request(path)))
  return answer
}

const IP4 = { sourceIp: '203.0.113.9', destinationIp: '198.51.100.1' }
const ACCEPTED: readonly (readonly [string, Buffer, string | null])[] = [
  ['version 1, IPv4', v1(), '203.0.113.9'],
  ['version 1, IPv6', v1({ sourceIp: '2001:db8::9', destinationIp: '2001:db8::1' }), '2001:db8::9'],
  [
    'version 1, long IPv6',
    Buffer.from('PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:0009 ::1 1 2\r\n'),
    '2001:db8::9',
  ],
  ['version 1, mapped IPv4', Buffer.from('PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n'), '203.0.113.9'],
  ['version 1, port 0', v1({ sourcePort: 0 }), '203.0.113.9'],
  ['version 1, port 65535', v1({ sourcePort: 65_535 }), '203.0.113.9'],
  ['version 1, UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), null],
  ['version 1, UNKNOWN with addresses', Buffer.from('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n'), null],
  ['version 2, IPv4', v2(), '203.0.113.9'],
  ['version 2, IPv6', v2({ sourceIp: '2001:db8::9', destinationIp: '2001:db8::1' }), '2001:db8::9'],
  ['version 2, mapped IPv4', v2({ sourceIp: '::ffff:203.0.113.9', destinationIp: '::1' }), '203.0.113.9'],
  ['version 2, checksum', v2(IP4, { checksum: true }), '203.0.113.9'],
  [
    'version 2, every value',
    v2(IP4, {
      alpn: 'h2',
      authority: 'b.test',
      ssl: { version: 'TLSv1.3', cipher: 'X', commonName: 'partner' },
      tlvs: [{ type: 0xea, value: Buffer.from('\x01vpce-08d2bf15fac5001c9') }],
      checksum: true,
    }),
    '203.0.113.9',
  ],
  ['version 2, LOCAL', rawV2(0x20, 0, Buffer.alloc(0)), null],
  ['version 2, LOCAL with addresses', rawV2(0x20, 0x11, Buffer.alloc(12, 7)), null],
  ['version 2, UNSPEC', rawV2(0x21, 0, Buffer.alloc(8)), null],
  ['version 2, UDP', rawV2(0x21, 0x12, Buffer.alloc(12, 7)), null],
]

test('a header from its named sender says who called: log, header fields, routes', async () => {
  let ran = 0
  const clients = new Map<string, string>()
  for (const listener of ['plain', 'secure'] as const) {
    for (const [what, header, source] of ACCEPTED) {
      const path = nextPath()
      const client = source ?? SENDER
      clients.set(path, client)
      const { text } = await through(listener, header, path)
      assert.match(text, /^HTTP\/1\.1 200 /, `${listener} ${what}`)
      const { headers } = app.seen.find(({ url }) => url === path)!
      assert.equal(headers['x-forwarded-for'], client, what)
      const node = client.includes(':') ? `"[${client}]"` : client
      const proto = listener === 'plain' ? 'http' : 'https'
      assert.equal(headers.forwarded, `for=${node};host=a.test;proto=${proto}`, what)
      const inside = await through(listener, header, '/inside/x')
      assert.match(inside.text, client.startsWith('203.0.113.') ? /\r\n\r\ninside$/ : /\r\n\r\noutside$/, what)
      ran++
    }
  }
  assert.equal(ran, 34, 'accepted headers')
  const lines = await edge.lines(34, 'requests', ({ path }) => clients.has(String(path)))
  for (const { path, client } of lines) assert.equal(client, clients.get(String(path)))
})

/** A good header with one byte of it changed. */
function damaged(header: Buffer, at: number): Buffer {
  const copy = Buffer.from(header)
  copy[at] = (copy[at] as number) ^ 0xff
  return copy
}

const REFUSED: readonly (readonly [string, Buffer])[] = [
  ['no header', Buffer.alloc(0)],
  ['blank before it', Buffer.concat([Buffer.from(' '), v1()])],
  ['CRLF before it', Buffer.concat([Buffer.from('\r\n'), v1()])],
  ['lower case', Buffer.from('proxy TCP4 203.0.113.9 198.51.100.1 1 2\r\n')],
  ['lone LF', Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 1 2\n')],
  ['two blanks', Buffer.from('PROXY  TCP4 203.0.113.9 198.51.100.1 1 2\r\n')],
  ['final blank', Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 1 2 \r\n')],
  ['leading zero', Buffer.from('PROXY TCP4 203.0.113.09 198.51.100.1 1 2\r\n')],
  ['octet over 255', Buffer.from('PROXY TCP4 203.0.113.256 198.51.100.1 1 2\r\n')],
  ['port over 65535', Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 65536 2\r\n')],
  ['negative port', Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 -1 2\r\n')],
  ['missing port', Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.1 1\r\n')],
  ['IPv6 as TCP4', Buffer.from('PROXY TCP4 2001:db8::9 2001:db8::1 1 2\r\n')],
  ['IPv4 as TCP6', Buffer.from('PROXY TCP6 203.0.113.9 198.51.100.1 1 2\r\n')],
  ['a zone', Buffer.from('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
  ['another family', Buffer.from('PROXY UDP4 203.0.113.9 198.51.100.1 1 2\r\n')],
  ['over 107 bytes', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(120)}\r\n`)],
  ['a NUL', Buffer.from('PROXY TCP4 203.0.113.9\0 198.51.100.1 1 2\r\n')],
  ['version 2, other version', rawV2(0x31, 0x11, Buffer.alloc(12))],
  ['version 2, other command', rawV2(0x22, 0x11, Buffer.alloc(12))],
  ['version 2, unknown family', rawV2(0x21, 0x41, Buffer.alloc(12))],
  ['version 2, too short for its family', rawV2(0x21, 0x11, Buffer.alloc(11))],
  ['version 2, over 4096 bytes', rawV2(0x21, 0x11, Buffer.alloc(5000))],
  [
    'version 2, a value beyond the end',
    rawV2(0x21, 0x11, Buffer.concat([Buffer.alloc(12), Buffer.from('01ffff00', 'hex')])),
  ],
  ['version 2, half a value', rawV2(0x21, 0x11, Buffer.concat([Buffer.alloc(12), Buffer.from('01', 'hex')]))],
  ['version 2, checksum wrong', damaged(v2(IP4, { checksum: true }), -1 + v2(IP4, { checksum: true }).length)],
  ['version 2, address changed under the checksum', damaged(v2(IP4, { checksum: true }), 17)],
  [
    'version 2, checksum of 3 bytes',
    rawV2(0x21, 0x11, Buffer.concat([Buffer.alloc(12), Buffer.from('030003000000', 'hex')])),
  ],
  ['two headers', Buffer.concat([v1(), v1()])],
  ['version 2 after version 1', Buffer.concat([v1(), v2()])],
]

test('a named sender without one valid header is closed, and nothing is forwarded', async () => {
  const before = app.seen.length
  let ran = 0
  for (const [what, header] of REFUSED) {
    const { text, error } = await through('plain', header, '/refused')
    assert.notEqual(error, 'still open', what)
    // The second of two headers is read as a request line, and refused as one.
    if (what.startsWith('two headers') || what.includes('after version 1'))
      assert.match(text, /^HTTP\/1\.1 400 |^$/, what)
    else assert.equal(text, '', what)
    ran++
  }
  assert.equal(ran, 30, 'refused headers')
  assert.equal(app.seen.length, before)
})

test('a header from anybody else is refused, and nothing is forwarded', async () => {
  const before = app.seen.length
  let ran = 0
  for (const [what, header] of ACCEPTED) {
    for (const from of [STRANGER, '127.0.0.8']) {
      const { text, error } = await through('plain', header, '/forged', from)
      assert.equal(text, '', what)
      assert.notEqual(error, 'still open', what)
      ran++
    }
  }
  assert.equal(ran, 34, 'forged headers')
  // Where no listener setting speaks of it, a header is a malformed request.
  const { text } = await exchangeBytes(edge.port('none'), Buffer.concat([v1(), Buffer.from(request('/forged'))]))
  assert.match(text, /^HTTP\/1\.1 400 /)
  assert.equal(app.seen.length, before)
})

test('strangers without a header are served under their own address', async () => {
  for (const listener of ['plain', 'secure'] as const) {
    const path = nextPath()
    assert.match((await through(listener, Buffer.alloc(0), path, STRANGER)).text, /^HTTP\/1\.1 200 /)
    assert.equal(app.seen.find(({ url }) => url === path)?.headers['x-forwarded-for'], STRANGER)
  }
})

test('a header may be cut anywhere', async () => {
  let ran = 0
  for (const header of [v1(), v2(IP4, { authority: 'b.test', checksum: true })]) {
    const bytes = Buffer.concat([header, Buffer.from(request('/split'))])
    for (let cut = 1; cut <= header.length; cut++) {
      const socket = await connectTo(edge.port('plain'), '127.0.0.1', SENDER)
      const answer = readToEnd(socket)
      socket.write(bytes.subarray(0, cut))
      await new Promise((resolve) => setTimeout(resolve, 2))
      socket.write(bytes.subarray(cut))
      const { text } = await answer
      assert.match(text, /"x-forwarded-for":"203\.0\.113\.9"/, `cut at ${cut}`)
      ran++
    }
  }
  assert.equal(ran, v1().length + v2(IP4, { authority: 'b.test', checksum: true }).length, 'cuts')
  assert.equal(ran, 90, 'cuts')
})

const SLOW: readonly (readonly [string, string, Buffer])[] = [
  ['nothing', SENDER, Buffer.alloc(0)],
  ['half of version 1', SENDER, v1().subarray(0, 20)],
  ['half of version 2', SENDER, v2().subarray(0, 20)],
  ['a signature that never ends, from a stranger', STRANGER, v2().subarray(0, 5)],
]

test('a header that does not come in timeouts.handshake ends the connection', async () => {
  let ran = 0
  for (const listener of ['plain', 'secure'] as const) {
    for (const [what, from, bytes] of SLOW) {
      const begun = performance.now()
      const { text, error } = await exchangeBytes(edge.port(listener), bytes, from)
      const took = performance.now() - begun
      assert.equal(text, '', what)
      assert.notEqual(error, 'still open', what)
      assert.ok(took > HEAD_MS * 0.8 && took < HEAD_MS * 6, `${listener} ${what}: ${took} ms`)
      ran++
    }
  }
  assert.equal(ran, 8, 'slow headers')
})

test('HAProxy in front names the client in each of its ways', needs('haproxy', 'curl'), async (t) => {
  const ways = ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options crc32c,unique-id', 'send-proxy-v2-ssl']
  const ports = await freePorts(ways.length)
  const sections = ways.map((way, i) =>
    [
      `listen way${i}`,
      '  mode tcp',
      '  unique-id-format %{+X}o%ci',
      `  bind 127.0.0.1:${ports[i]}`,
      `  source ${SENDER}`,
      `  server edge 127.0.0.1:${edge.port('plain')} ${way}`,
      '',
    ].join('\n'),
  )
  await runHaproxy(t, sections.join(''), ports)
  for (const [i, way] of ways.entries()) {
    const { out, err } = await curl('--interface', '127.0.0.99', `http://127.0.0.1:${ports[i]}/haproxy`)
    assert.match(out, /"x-forwarded-for":"127\.0\.0\.99"/, `${way}: ${err}`)
  }
})

test('the first bytes behind a header are not lost, however many there are', async () => {
  const body = 'x'.repeat(200_000)
  const socket = await connectTo(edge.port('plain'), '127.0.0.1', SENDER)
  const answer = readToEnd(socket)
  const head = `POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`
  socket.write(Buffer.concat([v2(), Buffer.from(head + body)]))
  assert.match((await answer).text, /^HTTP\/1\.1 200 /)
  assert.equal(app.seen.find(({ url }) => url === '/big')?.body.length, body.length)
})

test('a client that closes its half after the request is still answered', async () => {
  const socket = await connectTo(edge.port('plain'), '127.0.0.1', SENDER)
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk as Buffer))
  socket.end(Buffer.concat([v1(), Buffer.from(request('/half'))]))
  await once(socket, 'end')
  assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 200 /)
  assert.equal(ENDS.sourceIp, '203.0.113.9')
})
