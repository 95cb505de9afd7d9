/** Listeners in mode tcp, from outside: bytes, TLS passed through, PROXY headers, failures, limits, the log. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { ProxyHeader } from '../../src/listener/proxy-protocol/header.ts'
import { readProxyHeader } from '../../src/listener/proxy-protocol/read.ts'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { freePorts, runHaproxy } from '../../src/listener/testing/haproxy.ts'
import { eventually } from '../server-standin/process.ts'
import { needs } from '../setup/tools.ts'
import { ACCESS_LOG, type AccessLogLine, RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { type EchoEndpoint, echoEndpoint, listen, type RawEndpoint, rawEndpoint } from '../support/endpoints.ts'
import { v1, v2 } from '../support/proxy-headers.ts'
import { askOpen, connectTo, exchangeBytes, readToEnd } from '../support/raw-client.ts'
import { curl, opensslClient } from '../support/run-command.ts'

const SENDER = '127.0.0.8'
const MIB = 1024 * 1024
/** What one direction of the large transfer carries. */
const LARGE_BYTES = 256 * MIB

const ending = endOfFile()
const edge = new RunningEdge(ending)
let ca: TestCa
let raw: RawEndpoint
let app: EchoEndpoint
let bulkPort = 0
let deadPorts: number[] = []
let haproxyPort = 0

before(async () => {
  ca = new TestCa('Origin CA')
  const own = ca.issue('/CN=inner', 'DNS:inner.test')
  raw = await rawEndpoint(ending)
  app = await echoEndpoint(ending)
  const tls = createTlsServer({ cert: own.certificate, key: own.key, requestCert: true, rejectUnauthorized: false })
  tls.on('secureConnection', (socket) => {
    socket.on('error', () => {})
    socket.on('data', () => {
      const subject = socket.getPeerX509Certificate()?.subject ?? 'nobody'
      socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${subject} ${socket.servername}`)
    })
  })
  const inner = await listen(ending, tls)
  bulkPort = await listen(ending, createTcpServer({ allowHalfOpen: true }, serveBulk))
  const alive = await rawEndpoint(ending, ({ socket }) => void socket.end('alive'))
  deadPorts = await freePorts(5)
  ;[haproxyPort = 0] = await freePorts(1)
  const to = (...ports: number[]): string =>
    `endpoints: [${ports.map((port) => `'tcp://127.0.0.1:${port}'`).join(', ')}]`
  const [a, b, c, d, e] = deadPorts as [number, number, number, number, number]
  const upstreams: Readonly<Record<string, string>> = {
    raw: to(raw.port),
    inner: to(inner),
    v1: `${to(raw.port)}, proxyProtocol: v1`,
    v2: `${to(raw.port)}, proxyProtocol: v2`,
    haproxy: `${to(haproxyPort)}, proxyProtocol: v2`,
    bulk: to(bulkPort),
    'one-down': `${to(a, alive.port)}, balancer: round-robin, ejection: off`,
    'two-down': `${to(a, b, alive.port)}, balancer: round-robin, ejection: off`,
    'all-down': to(c, d, e),
    few: `${to(raw.port)}, concurrency: { limit: 2, queue: 1, queueTimeout: 300ms }`,
    slow: to(raw.port),
    checked: `${to(a, alive.port)}, healthCheck: { interval: 50ms }`,
    web: to(app.port),
  }
  const listeners = Object.keys(upstreams).map(
    (name) =>
      `  ${name}: { address: 127.0.0.1:0, mode: tcp, upstream: ${name}${name === 'slow' ? ', timeouts: { idle: 300ms }' : ''} }`,
  )
  await edge.start(`
listeners:
${listeners.join('\n')}
  behind: { address: 127.0.0.1:0, mode: tcp, upstream: v2, proxyProtocol: { from: [${SENDER}] } }
upstreams:
${Object.entries(upstreams)
  .map(([name, text]) => `  ${name}: { ${text} }`)
  .join('\n')}
${ACCESS_LOG}
`)
})
after(() => ca.remove())

/** Counts and hashes what comes; after the client's FIN sends as much back, then the digest. */
function serveBulk(socket: Socket): void {
  const hash = createHash('sha256')
  let received = 0
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length
    hash.update(chunk)
  })
  socket.on('end', () => pump(socket, received, () => socket.end(hash.digest('hex'))))
}

const BLOCK = Buffer.alloc(MIB, 'sallyport ')

function pump(socket: Socket, bytes: number, done: () => void): void {
  let left = bytes
  const more = (): void => {
    while (left > 0) {
      left -= BLOCK.length
      if (!socket.write(BLOCK)) {
        socket.once('drain', more)
        return
      }
    }
    done()
  }
  more()
}

async function connectionsOf(endpoint: RawEndpoint, from: number, count: number): Promise<void> {
  await eventually(`${count} connections`, async () => (endpoint.connections.length >= from + count ? true : null))
}

const lineOf = (listener: string, wanted: (line: AccessLogLine) => boolean): Promise<AccessLogLine> =>
  edge.line(listener, (line) => line.upstream === listener && wanted(line))

test('bytes go both ways as they are, and each half is closed on its own', async () => {
  const from = raw.connections.length
  const socket = await connectTo(edge.port('raw'))
  const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  socket.write(every)
  await connectionsOf(raw, from, 1)
  const endpoint = raw.connections[from]!
  await eventually('the bytes', async () => (endpoint.received.length === 256 ? true : null))
  assert.deepEqual(endpoint.received, every)
  const answer = readToEnd(socket)
  endpoint.socket.write(every)
  socket.end()
  await eventually('the client half', async () => (endpoint.ended ? true : null))
  endpoint.socket.end('after the FIN')
  assert.equal((await answer).text, `${every.toString('latin1')}after the FIN`)
  const line = await lineOf('raw', ({ bytesIn }) => bytesIn === 256)
  assert.equal(line.bytesOut, 269)
  assert.equal(line.outcome, 'ok')
  assert.equal(line.protocol, 'TCP')
  assert.equal(line.client, '127.0.0.1')
  assert.equal(line.endpoint, `127.0.0.1:${raw.port}`)
  assert.equal(line.attempts, 1)
  assert.equal(line.tls, null)
  assert.ok((line.durationMs as number) > 0)
})

test('the endpoint may close its half first and still hear the client', async () => {
  const from = raw.connections.length
  const socket = await connectTo(edge.port('raw'))
  await connectionsOf(raw, from, 1)
  const endpoint = raw.connections[from]!
  endpoint.socket.end('greeting')
  socket.resume()
  await once(socket, 'end')
  socket.end('late words')
  await eventually('the late words', async () => (endpoint.ended ? true : null))
  assert.equal(endpoint.received.toString(), 'late words')
})

test('TLS passes through: the client sees the endpoint, the endpoint sees the client', needs('openssl'), async () => {
  const partner = ca.issue('/CN=partner-1', '')
  const port = edge.port('inner')
  const client = connectTls({
    port,
    host: '127.0.0.1',
    servername: 'inner.test',
    ca: ca.certificate,
    cert: partner.certificate,
    key: partner.key,
  })
  const text = await askOpen(client, 'GET / HTTP/1.1\r\n\r\n', (got) => got.endsWith('.test'))
  assert.match(text, /\r\n\r\nCN=partner-1 inner\.test$/)
  assert.equal(client.authorized, true)
  client.destroy()
  const { out } = await opensslClient(port, ['-servername', 'inner.test', '-alpn', 'h2,x-own'])
  assert.match(out, /subject=CN = inner\n/)
})

test('HTTP passes through as it is, with every odd byte of it', needs('curl'), async () => {
  const { out } = await curl(
    '-H',
    'X-Forwarded-For: 1.2.3.4',
    `http://127.0.0.1:${edge.port('web')}/a/../b`,
    '--path-as-is',
  )
  assert.match(out, /"url":"\/a\/\.\.\/b"/)
  assert.match(out, /"x-forwarded-for":"1\.2\.3\.4"/)
})

test('the endpoint is told the client in front of all bytes, in both versions', async () => {
  let ran = 0
  for (const version of ['v1', 'v2'] as const) {
    for (const ip of ['127.0.0.1', '127.0.0.77']) {
      const from = raw.connections.length
      const socket = await connectTo(edge.port(version), '127.0.0.1', ip)
      socket.write('hello')
      await connectionsOf(raw, from, 1)
      const endpoint = raw.connections[from]!
      await eventually('hello', async () => (endpoint.received.includes('hello') ? true : null))
      const header = readProxyHeader(endpoint.received, 0, endpoint.received.length)
      assert.ok(header instanceof ProxyHeader)
      assert.deepEqual([header.sourceIp, header.sourcePort], [ip, socket.localPort])
      assert.deepEqual([header.destinationIp, header.destinationPort], ['127.0.0.1', edge.port(version)])
      assert.equal(endpoint.received.toString('latin1', header.length), 'hello')
      socket.destroy()
      ran++
    }
  }
  assert.equal(ran, 4, 'headers')
})

test('a PROXY header received is checked and passed on; strangers with one are closed', async () => {
  const from = raw.connections.length
  const socket = await connectTo(edge.port('behind'), '127.0.0.1', SENDER)
  socket.write(Buffer.concat([v1({ sourceIp: '2001:db8::9', destinationIp: '2001:db8::1' }), Buffer.from('hello')]))
  await connectionsOf(raw, from, 1)
  const endpoint = raw.connections[from]!
  await eventually('hello', async () => (endpoint.received.includes('hello') ? true : null))
  const header = readProxyHeader(endpoint.received, 0, endpoint.received.length) as ProxyHeader
  assert.deepEqual([header.sourceIp, header.destinationIp, header.destinationPort], ['2001:db8::9', '2001:db8::1', 443])
  socket.resetAndDestroy()
  const refused = [
    [SENDER, 'hello'],
    [SENDER, 'PROXY TCP4 nonsense\r\n'],
    ['127.0.0.1', v1()],
    ['127.0.0.1', v2()],
  ] as const
  for (const [peer, bytes] of refused) {
    const { text, error } = await exchangeBytes(edge.port('behind'), bytes, peer)
    assert.equal(text, '')
    assert.notEqual(error, 'still open')
  }
  assert.equal(raw.connections.length, from + 1)
  const line = await lineOf('v2', ({ client }) => client === '2001:db8::9')
  assert.equal(line.bytesIn, 5)
})

test('HAProxy takes the header of a passed-on TLS connection', needs('haproxy', 'curl'), async (t) => {
  const own = ca.issue('/CN=x', 'IP:127.0.0.1')
  await runHaproxy(
    t,
    `listen own\n  mode http\n  bind 127.0.0.1:${haproxyPort} accept-proxy ssl crt own.pem\n` +
      '  http-request return status 200 content-type text/plain lf-string "%[src] %[dst] %[dst_port]"\n',
    [haproxyPort],
    { 'own.pem': `${own.certificate}${own.key}` },
  )
  const port = edge.port('haproxy')
  const { out, err } = await curl('-k', '--interface', '127.0.0.88', `https://127.0.0.1:${port}/`)
  assert.equal(out, `127.0.0.88 127.0.0.1 ${port}\n200`, err)
})

/** Resident memory of the edge, in bytes. */
const residentBytes = (): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${edge.process.pid}/status`, 'latin1'))?.[1]) * 1024

test('256 MiB go each way unchanged and take no memory, however slow the reader', { timeout: 120_000 }, async () => {
  const socket = await connectTo(edge.port('bulk'))
  const start = residentBytes()
  let most = start
  const watch = setInterval(() => {
    most = Math.max(most, residentBytes())
  }, 50)
  const sent = createHash('sha256')
  for (let i = 0; i < LARGE_BYTES / MIB; i++) sent.update(BLOCK)
  pump(socket, LARGE_BYTES, () => socket.end())
  const received = createHash('sha256')
  let bytes = 0
  let tail = ''
  let pauses = 0
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    const over = Math.max(0, Math.min(chunk.length, bytes - LARGE_BYTES))
    received.update(chunk.subarray(0, chunk.length - over))
    tail += chunk.toString('latin1', chunk.length - over)
    // A reader that stands still now and then: the edge must not collect what it does not take.
    if (bytes > (pauses + 1) * 64 * MIB) {
      pauses++
      socket.pause()
      setTimeout(() => socket.resume(), 200)
    }
  })
  await once(socket, 'end')
  clearInterval(watch)
  const expected = sent.digest('hex')
  assert.equal(bytes, LARGE_BYTES + 64)
  assert.equal(received.digest('hex'), expected)
  assert.equal(tail, expected)
  assert.equal(pauses, 4)
  assert.ok(most - start < 64 * MIB, `grew by ${Math.round((most - start) / MIB)} MiB`)
  const line = await lineOf('bulk', () => true)
  assert.deepEqual([line.bytesIn, line.bytesOut, line.outcome], [LARGE_BYTES, LARGE_BYTES + 64, 'ok'])
})

test('an endpoint that is down is passed over, however many there are', async () => {
  for (const listener of ['one-down', 'two-down']) {
    for (let i = 0; i < 12; i++) {
      const { text } = await exchangeBytes(edge.port(listener), 'x')
      assert.equal(text, 'alive', `${listener} ${i}`)
    }
    const lines = await edge.lines(12, listener, ({ upstream }) => upstream === listener)
    assert.ok(lines.every(({ outcome }) => outcome === 'ok'))
    assert.ok(lines.some(({ attempts }) => (attempts as number) > 1))
  }
})

test('with every endpoint down the client is closed at once', async () => {
  for (let i = 0; i < 4; i++) {
    const begun = performance.now()
    const { text, error } = await exchangeBytes(edge.port('all-down'), 'x')
    assert.equal(text, '')
    assert.notEqual(error, 'still open')
    assert.ok(performance.now() - begun < 1_500)
  }
  const line = await lineOf('all-down', () => true)
  assert.equal(line.outcome, 'upstream-connect-failed')
})

test('an endpoint that its health check finds down is not even tried', async () => {
  const listening = async (): Promise<true | null> => {
    const all: AccessLogLine[] = []
    for (let i = 0; i < 6; i++) assert.equal((await exchangeBytes(edge.port('checked'), 'x')).text, 'alive')
    all.push(...(await edge.lines(6, 'checked', ({ upstream }) => upstream === 'checked')).slice(-6))
    return all.every(({ attempts }) => attempts === 1) ? true : null
  }
  await eventually('six first attempts', listening)
})

test('connections beyond the limit wait in the queue, then are closed', async () => {
  const from = raw.connections.length
  const [first, second] = [await connectTo(edge.port('few')), await connectTo(edge.port('few'))]
  await connectionsOf(raw, from, 2)
  const queued = await connectTo(edge.port('few'))
  queued.write('queued')
  const refusedAt = performance.now()
  const answers = [readToEnd(queued), exchangeBytes(edge.port('few'), 'x')]
  assert.equal((await Promise.race(answers)).text, '')
  assert.ok(performance.now() - refusedAt < 1_500)
  assert.equal(raw.connections.length, from + 2)
  await Promise.all(answers)
  const reasons = await edge.lines(2, 'few', ({ upstream, outcome }) => upstream === 'few' && outcome !== 'ok')
  assert.deepEqual(reasons.map(({ outcome }) => outcome).sort(), ['upstream-queue-full', 'upstream-queue-timeout'])
  // A place that is given back goes to who waits.
  const patient = await connectTo(edge.port('few'))
  patient.write('patient')
  // A reset: after a mere FIN the endpoint could go on.
  first.resetAndDestroy()
  await connectionsOf(raw, from, 3)
  await eventually('its bytes', async () =>
    raw.connections[from + 2]?.received.toString() === 'patient' ? true : null,
  )
  second.resetAndDestroy()
  patient.resetAndDestroy()
})

test('a connection without a byte is ended after timeouts.idle, one with bytes is not', async () => {
  const from = raw.connections.length
  const idle = await connectTo(edge.port('slow'))
  const busy = await connectTo(edge.port('slow'))
  await connectionsOf(raw, from, 2)
  let busyClosed = false
  busy.on('close', () => {
    busyClosed = true
  })
  const drip = setInterval(() => busy.write('x'), 60)
  const { error } = await readToEnd(idle)
  assert.notEqual(error, 'still open')
  assert.equal(busyClosed, false)
  clearInterval(drip)
  busy.destroy()
  const line = await lineOf('slow', ({ outcome }) => outcome !== 'ok' && outcome !== 'client-gone')
  assert.equal(line.outcome, 'idle-timeout')
})

test('a reload changes the upstream for new connections and cuts none', async () => {
  const from = raw.connections.length
  const socket = await connectTo(edge.port('raw'))
  await connectionsOf(raw, from, 1)
  const text = readFileSync(edge.file, 'utf8')
  await edge.reload(text.replace(/( raw: \{ address: \S+, mode: tcp, upstream: )raw/, '$1web'))
  assert.match(
    (await exchangeBytes(edge.port('raw'), 'GET /new HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).text,
    /"url":"\/new"/,
  )
  socket.write('still here')
  await eventually('the bytes', async () => (raw.connections[from]?.received.toString() === 'still here' ? true : null))
  await edge.reload(text)
  socket.destroy()
})

test('an edge behind an edge sees the client, over TLS that only it can read', needs('openssl', 'curl'), async (t) => {
  const origin = await echoEndpoint(t)
  const innerEdge = new RunningEdge(t)
  innerEdge.writePair('edge', ca.issue('/CN=edge', 'DNS:edge.test'))
  await innerEdge.start(`
listeners:
  public:
    address: 127.0.0.1:0
    tls: { certificates: [{ certificate: edge.pem, key: edge-key.pem }] }
    proxyProtocol: { from: [127.0.0.1] }
upstreams: { app: { endpoints: ['${origin.url}'] } }
routes: [{ path: /*, upstream: app }]
${ACCESS_LOG}
`)
  const outer = new RunningEdge(t)
  await outer.start(`
listeners: { balancer: { address: 127.0.0.1:0, mode: tcp, upstream: edges } }
upstreams: { edges: { endpoints: ['tcp://127.0.0.1:${innerEdge.port('public')}'], proxyProtocol: v2 } }
${ACCESS_LOG}
`)
  const address = `edge.test:${outer.port('balancer')}:127.0.0.1`
  outer.write('ca.pem', ca.certificate)
  const at = ['--cacert', `${outer.folder}/ca.pem`, '--resolve', address, '--interface', '127.0.0.55']
  const { out, err } = await curl(...at, `https://edge.test:${outer.port('balancer')}/through`)
  assert.match(out, /\n200$/, err)
  const { headers } = origin.seen[0]!
  assert.equal(headers['x-forwarded-for'], '127.0.0.55')
  assert.equal(headers['x-forwarded-proto'], 'https')
  assert.match(headers.forwarded ?? '', /^for=127\.0\.0\.55;host="edge\.test:\d+";proto=https$/)
  const [innerLine, outerLine] = [
    await innerEdge.line('/through', ({ path }) => path === '/through'),
    await outer.line('the connection', ({ protocol }) => protocol === 'TCP'),
  ]
  assert.equal(innerLine.client, '127.0.0.55')
  assert.equal(outerLine.client, '127.0.0.55')
})

test('SIGTERM lets a running connection finish, refuses new ones, and exits 0', async () => {
  const from = raw.connections.length
  const socket = await connectTo(edge.port('raw'))
  await connectionsOf(raw, from, 1)
  const answer = readToEnd(socket)
  edge.process.signal('SIGTERM')
  await edge.process.errLine(/"draining"/)
  const endpoint = raw.connections[from]!
  socket.write('last words')
  await eventually('the last words', async () => (endpoint.received.toString() === 'last words' ? true : null))
  await eventually('refusal', () =>
    connectTo(edge.port('raw')).then(
      (late) => {
        late.destroy()
        return null
      },
      () => true,
    ),
  )
  endpoint.socket.end('answer')
  socket.end()
  assert.equal((await answer).text, 'answer')
  for (const { socket: rest } of raw.connections) rest.destroy()
  assert.equal(await edge.process.exited, 0)
  assert.ok(edge.log().some(({ bytesIn, bytesOut }) => bytesIn === 10 && bytesOut === 6))
})
