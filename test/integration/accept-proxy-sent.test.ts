/** PROXY protocol to endpoints: what they are told of the client, plain and before TLS. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { ProxyHeader } from '../../src/listener/proxy-protocol/header.ts'
import { readProxyHeader } from '../../src/listener/proxy-protocol/read.ts'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { freePorts, runHaproxy } from '../../src/listener/testing/haproxy.ts'
import { eventually } from '../server-standin/process.ts'
import { needs } from '../setup/tools.ts'
import { ACCESS_LOG, RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { type RawConnection, type RawEndpoint, rawEndpoint } from '../support/endpoints.ts'
import { v2 } from '../support/proxy-headers.ts'
import { askOpen, connectTo, exchangeBytes } from '../support/raw-client.ts'

const TRUSTED = '127.0.0.7'
const SENDER = '127.0.0.8'
const VERSIONS = ['v1', 'v2'] as const

const ending = endOfFile()
const edge = new RunningEdge(ending)
let ca: TestCa
let plain: RawEndpoint
let secure: RawEndpoint
let checked: RawEndpoint
let haproxyPorts: number[] = []
const headers = new Map<RawConnection, ProxyHeader>()

/** Reads the header, then answers each request with an empty 200. */
function answerPlain(connection: RawConnection): void {
  const header = takeHeader(connection)
  if (header === null) return
  const text = connection.received.toString('latin1', header.length)
  const wanted = text.split('\r\n\r\n').length - 1
  for (let i = answered.get(connection) ?? 0; i < wanted; i++) {
    connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    answered.set(connection, i + 1)
  }
}
const answered = new Map<RawConnection, number>()

function takeHeader(connection: RawConnection): ProxyHeader | null {
  const known = headers.get(connection)
  if (known !== undefined) return known
  const header = readProxyHeader(connection.received, 0, connection.received.length)
  assert.notEqual(header, 'proxy-protocol-invalid', connection.received.toString('latin1'))
  if (!(header instanceof ProxyHeader)) return null
  headers.set(connection, header)
  return header
}

before(async () => {
  ca = new TestCa('Origin CA')
  const own = ca.issue('/CN=x', 'IP:127.0.0.1')
  edge.write('ca.pem', ca.certificate)
  edge.writePair('edge', ca.issue('/CN=edge', 'DNS:a.test'))
  plain = await rawEndpoint(ending, answerPlain)
  checked = await rawEndpoint(ending, answerPlain)
  const tls = createTlsServer({ cert: own.certificate, key: own.key }, (socket) => {
    socket.on('error', () => {})
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  })
  secure = await rawEndpoint(ending, (connection) => {
    if (headers.has(connection)) return
    const header = takeHeader(connection)
    if (header === null) return
    // Everything behind the header is the client's handshake: TLS takes over.
    connection.socket.removeAllListeners('data')
    connection.socket.pause()
    connection.socket.unshift(connection.received.subarray(header.length))
    tls.emit('connection', connection.socket)
  })
  haproxyPorts = await freePorts(2)
  const upstreams = VERSIONS.flatMap((version) => [
    `  plain-${version}: { endpoints: ['http://127.0.0.1:${plain.port}'], proxyProtocol: ${version} }`,
    `  secure-${version}: { endpoints: ['https://127.0.0.1:${secure.port}'], proxyProtocol: ${version}, tls: { ca: ca.pem } }`,
    `  haproxy-plain-${version}: { endpoints: ['http://127.0.0.1:${haproxyPorts[0]}'], proxyProtocol: ${version} }`,
    `  haproxy-secure-${version}: { endpoints: ['https://127.0.0.1:${haproxyPorts[1]}'], proxyProtocol: ${version}, tls: { ca: ca.pem } }`,
    `  checked-${version}: { endpoints: ['http://127.0.0.1:${checked.port}'], proxyProtocol: ${version}, healthCheck: { interval: 50ms } }`,
  ])
  const names = upstreams.map((line) => line.trim().split(':')[0] as string)
  await edge.start(
    `
listeners:
  public: { address: 127.0.0.1:0, trustedProxies: [${TRUSTED}] }
  secure: { address: 127.0.0.1:0, tls: { certificates: [{ certificate: edge.pem, key: edge-key.pem }] } }
  six: { address: '[::1]:0' }
  dual: { address: '[::]:0' }
  behind: { address: 127.0.0.1:0, proxyProtocol: { from: [${SENDER}] } }
upstreams:
${upstreams.join('\n')}
routes:
${names.map((name) => `  - { path: /${name}, upstream: ${name} }`).join('\n')}
${ACCESS_LOG}
`,
    '--threads',
    '1',
  )
})
after(() => ca.remove())

const get = (name: string, more = '', end = 'close'): string =>
  `GET /${name} HTTP/1.1\r\nHost: a.test\r\n${more}Connection: ${end}\r\n\r\n`

/** Sends a request over a new connection; returns what the endpoint was told, and the client's own port. */
async function told(
  endpoint: RawEndpoint,
  listener: string,
  bytes: string | Buffer,
  host = '127.0.0.1',
  from?: string,
): Promise<{ header: ProxyHeader; port: number }> {
  const before = endpoint.connections.length
  const socket = await connectTo(edge.port(listener), host, from)
  const port = socket.localPort as number
  const text = await askOpen(socket, bytes.toString('latin1'), (got) => got.includes('\r\n\r\n'))
  socket.destroy()
  assert.match(text, /^HTTP\/1\.1 200 /)
  assert.equal(endpoint.connections.length, before + 1, 'a connection of its own')
  return { header: headers.get(endpoint.connections[before]!)!, port }
}

const ends = ({ sourceIp, sourcePort, destinationIp, destinationPort }: ProxyHeader): unknown[] => [
  sourceIp,
  sourcePort,
  destinationIp,
  destinationPort,
]

test('the endpoint is told the client and the address it connected to', async () => {
  let ran = 0
  for (const version of VERSIONS) {
    for (const [kind, endpoint] of [
      ['plain', plain],
      ['secure', secure],
    ] as const) {
      const name = `${kind}-${version}`
      const own = edge.port('public')
      const direct = await told(endpoint, 'public', get(name))
      assert.deepEqual(ends(direct.header), ['127.0.0.1', direct.port, '127.0.0.1', own], name)
      const other = await told(endpoint, 'public', get(name), '127.0.0.1', '127.0.0.42')
      assert.deepEqual(ends(other.header), ['127.0.0.42', other.port, '127.0.0.1', own], name)
      const six = await told(endpoint, 'six', get(name), '::1')
      assert.deepEqual(ends(six.header), ['::1', six.port, '::1', edge.port('six')], name)
      const mapped = await told(endpoint, 'dual', get(name), '127.0.0.1')
      assert.deepEqual(ends(mapped.header), ['127.0.0.1', mapped.port, '127.0.0.1', edge.port('dual')], name)
      const behind = await told(endpoint, 'behind', Buffer.concat([v2(), Buffer.from(get(name))]), '127.0.0.1', SENDER)
      assert.deepEqual(ends(behind.header), ['203.0.113.9', 4711, '198.51.100.1', 443], name)
      ran += 5
    }
  }
  assert.equal(ran, 20, 'headers')
})

test('behind a trusted proxy the source is the client that it names, and a stranger can name nobody', async () => {
  let ran = 0
  for (const version of VERSIONS) {
    const own = edge.port('public')
    const name = `plain-${version}`
    const four = await told(plain, 'public', get(name, 'X-Forwarded-For: 203.0.113.5\r\n'), '127.0.0.1', TRUSTED)
    assert.deepEqual(ends(four.header), ['203.0.113.5', 0, '127.0.0.1', own])
    const six = await told(plain, 'public', get(name, 'X-Forwarded-For: 2001:db8::5\r\n'), '127.0.0.1', TRUSTED)
    assert.deepEqual(ends(six.header), ['2001:db8::5', 0, '127.0.0.1', own])
    const forged = await told(plain, 'public', get(name, 'X-Forwarded-For: 203.0.113.5\r\n'))
    assert.deepEqual(ends(forged.header), ['127.0.0.1', forged.port, '127.0.0.1', own])
    ran += 3
  }
  assert.equal(ran, 6, 'headers')
})

test('a client of a TLS listener is told of in the same way', needs('openssl'), async () => {
  const { connect } = await import('node:tls')
  for (const version of VERSIONS) {
    const before = plain.connections.length
    const socket = connect({ port: edge.port('secure'), host: '127.0.0.1', servername: 'a.test', ca: ca.certificate })
    await askOpen(socket, get(`plain-${version}`), (text) => text.includes('\r\n\r\n'))
    const { header, port } = { header: headers.get(plain.connections[before]!)!, port: socket.localPort }
    assert.deepEqual(ends(header), ['127.0.0.1', port, '127.0.0.1', edge.port('secure')])
    socket.destroy()
  }
})

test('a connection that names one client is never used for another one', async () => {
  for (const version of VERSIONS) {
    const before = plain.connections.length
    const socket = await connectTo(edge.port('public'), '127.0.0.1', TRUSTED)
    for (const ip of ['203.0.113.5', '203.0.113.6', '203.0.113.5']) {
      const request = get(`plain-${version}`, `X-Forwarded-For: ${ip}\r\n`, 'keep-alive')
      await askOpen(socket, request, (text) => text.includes('\r\n\r\n'))
    }
    socket.destroy()
    const named = plain.connections.slice(before).map((one) => headers.get(one)?.sourceIp)
    assert.deepEqual(named, ['203.0.113.5', '203.0.113.6', '203.0.113.5'])
  }
})

test('a health check names nobody', async () => {
  await eventually('checks in both versions', async () => (checked.connections.length >= 4 ? true : null))
  const seen = checked.connections.filter((one) => headers.has(one))
  for (const one of seen) assert.equal(headers.get(one)?.local, true)
  const first = new Set(seen.map(({ received }) => received.toString('latin1', 0, 5)))
  assert.deepEqual([...first].sort(), ['\r\n\r\n\0', 'PROXY'])
})

test('HAProxy takes the headers, plain and before TLS', needs('haproxy', 'openssl'), async (t) => {
  const own = ca.issue('/CN=x', 'IP:127.0.0.1')
  const answer =
    '  mode http\n  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]"\n'
  await runHaproxy(
    t,
    `listen plain\n  bind 127.0.0.1:${haproxyPorts[0]} accept-proxy\n${answer}` +
      `listen secure\n  bind 127.0.0.1:${haproxyPorts[1]} accept-proxy ssl crt own.pem\n${answer}`,
    haproxyPorts,
    { 'own.pem': `${own.certificate}${own.key}` },
  )
  let ran = 0
  for (const version of VERSIONS) {
    for (const kind of ['plain', 'secure']) {
      const socket = await connectTo(edge.port('public'), '127.0.0.1', '127.0.0.33')
      const name = `haproxy-${kind}-${version}`
      const text = await askOpen(socket, get(name), (got) => /\r\n\r\n./.test(got))
      const body = text.slice(text.indexOf('\r\n\r\n') + 4)
      assert.equal(body, `127.0.0.33 ${socket.localPort} 127.0.0.1 ${edge.port('public')}`, name)
      socket.destroy()
      const bytes = Buffer.concat([v2(), Buffer.from(get(name))])
      const behind = await exchangeBytes(edge.port('behind'), bytes, SENDER)
      assert.match(behind.text, /\r\n\r\n203\.0\.113\.9 4711 198\.51\.100\.1 443$/, name)
      ran += 2
    }
  }
  assert.equal(ran, 8, 'headers that HAProxy took')
})
