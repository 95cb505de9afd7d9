import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TestCa } from '../../listener/testing/certificates.ts'
import type { EndpointSpec } from '../endpoints/endpoint-spec.ts'
import { createUpstreamCells, Health } from '../shared/cells.ts'
import { sharedNowMs } from '../shared/clock.ts'
import { healthOf } from '../shared/endpoint-cells.ts'
import type { HealthCheckSettings, UpstreamTlsSettings } from '../shared/settings.ts'
import { type ProbeSettings, probe } from './probe.ts'
import { type HealthChange, Prober } from './prober.ts'

const CHECK: HealthCheckSettings = {
  path: '/healthz',
  host: null,
  statuses: null,
  intervalMs: 5,
  timeoutMs: 2000,
  healthyAfter: 2,
  unhealthyAfter: 3,
}
const NO_TLS: ProbeSettings = { check: CHECK, tls: null, prelude: null }

test('each status from 200 to 399 is healthy, all others are not, and a list replaces the range', async (t) => {
  let status = 0
  const { spec } = await serve(t, (_request, respond) => respond(status))
  const cases: [number, readonly number[] | null, string | null][] = [
    [200, null, null],
    [204, null, null],
    [302, null, null],
    [399, null, null],
    [400, null, 'status 400'],
    [404, null, 'status 404'],
    [500, null, 'status 500'],
    [503, null, 'status 503'],
    [200, [418], 'status 200'],
    [418, [418], null],
  ]
  let ran = 0
  for (const [code, statuses, problem] of cases) {
    status = code
    assert.equal(await check(spec, { ...NO_TLS, check: { ...CHECK, statuses } }), problem)
    ran++
  }
  assert.equal(ran, 10)
})

test('a check asks with GET, the path, and the Host of the endpoint or the configured one', async (t) => {
  const seen: string[] = []
  const { spec } = await serve(t, (request, respond) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host}`)
    respond(200)
  })
  await check(spec, NO_TLS)
  await check(spec, { ...NO_TLS, check: { ...CHECK, path: '/up?full=1', host: 'orders.internal' } })
  assert.deepEqual(seen, [`GET /healthz ${spec.label}`, 'GET /up?full=1 orders.internal'])
})

test('a server that accepts and says nothing, or half a head, or an endless body, ends in time', async (t) => {
  const timed = { ...NO_TLS, check: { ...CHECK, timeoutMs: 60 } }
  const silent = await serveTcp(t, () => {})
  assert.equal(await check(silent, timed), 'timeout')
  const half = await serveTcp(t, (socket) => socket.write('HTTP/1.1 200 OK\r\nX: '))
  assert.equal(await check(half, timed), 'timeout')
  const endless = await serveTcp(t, (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nbody'))
  assert.equal(await check(endless, timed), null)
  const rude = await serveTcp(t, (socket) => socket.end('nonsense\r\n\r\n'))
  assert.match((await check(rude, timed)) ?? '', /Parse Error|HTTP/)
  const closing = await serveTcp(t, (socket) => socket.destroy())
  assert.match((await check(closing, timed)) ?? '', /ECONNRESET|hang up|EPIPE/)
})

test('a refused connection is a failed check', async (t) => {
  const spec = await serveTcp(t, () => {})
  const closed = await closedPort()
  assert.match((await check({ ...spec, port: closed }, NO_TLS)) ?? '', /ECONNREFUSED/)
})

test('a path that cannot be sent is a failed check and not the end of the process', async (t) => {
  const { spec } = await serve(t, (_request, respond) => respond(200))
  const broken = { ...NO_TLS, check: { ...CHECK, path: '/a b' } }
  assert.match((await check(spec, broken)) ?? '', /unescaped/)
})

test('without a path a TCP connection is enough', async (t) => {
  const spec = await serveTcp(t, () => {})
  assert.equal(await check(spec, { ...NO_TLS, check: { ...CHECK, path: null } }), null)
})

test('the PROXY header goes first, before HTTP and before TLS', async (t) => {
  const prelude = Buffer.from('PROXY UNKNOWN\r\n')
  const firsts: string[] = []
  const spec = await serveTcp(t, (socket) => {
    socket.once('data', (data) => {
      firsts.push(data.toString('latin1'))
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    })
  })
  assert.equal(await check(spec, { ...NO_TLS, prelude }), null)
  assert.match(firsts[0]!, /^PROXY UNKNOWN\r\n(GET|$)/)
  await check({ ...spec, secure: true }, { ...NO_TLS, prelude })
  assert.match(firsts[1]!, /^PROXY UNKNOWN\r\n/)
  assert.ok(!firsts[1]!.includes('GET'))
})

test('a unix socket is checked like any other', async (t) => {
  const path = join(tmpdir(), `sallyport-probe-${process.pid}.sock`)
  const server = createServer((_request, response) => response.end())
  server.listen(path)
  await once(server, 'listening')
  t.after(() => server.close())
  const spec = { ...specOf(0), host: '', unixPath: path, address: null, label: `unix:${path}` }
  assert.equal(await check(spec, NO_TLS), null)
})

test('TLS is verified as for traffic: authority, name and our own certificate', async (t) => {
  const ca = new TestCa('endpoint authority')
  const strangers = new TestCa('other authority')
  t.after(() => {
    ca.remove()
    strangers.remove()
  })
  const { certificate: cert, key } = ca.issue('/CN=orders', 'DNS:orders.internal')
  const client = ca.issue('/CN=edge', '')
  const server = createHttpsServer(
    { cert, key, ca: ca.certificate, requestCert: true, rejectUnauthorized: true },
    (_request, response) => response.end(),
  )
  const spec = { ...(await listen(t, server)), secure: true }
  const good = { ca: ca.certificate, serverName: 'orders.internal', minVersion: 'TLSv1.2' as const, ...client }
  const cases: [string, UpstreamTlsSettings | null, RegExp | null][] = [
    ['all right', good, null],
    ['another authority', { ...good, ca: strangers.certificate }, /certificate|issuer|self-signed/],
    ['the public roots', { ...good, ca: null }, /certificate|issuer|self-signed/],
    ['another name', { ...good, serverName: 'billing.internal' }, /altnames/],
    ['the address as name', { ...good, serverName: null }, /altnames/],
    ['no certificate of ours', { ...good, certificate: null, key: null }, /alert|ECONNRESET|hang up|certificate/],
    ['a broken authority', { ...good, ca: 'nonsense' }, /./],
  ]
  let ran = 0
  for (const [name, tls, problem] of cases) {
    const result = await check(spec, { ...NO_TLS, tls })
    if (problem === null) assert.equal(result, null, name)
    else assert.match(result ?? 'healthy', problem, name)
    if (problem !== null) assert.notEqual(result, null, name)
    ran++
  }
  assert.equal(ran, 7)
})

test('the first check runs at once and decides alone; after it the thresholds count', async (t) => {
  const statuses: number[] = []
  const answers = [500, 200, 500, 200, 200, 500, 500, 200, 500, 500, 500]
  const { spec, cells, changes, prober } = await setUp(t, (_request, respond) => {
    const status = answers[statuses.length] ?? 500
    statuses.push(status)
    respond(status)
  })
  assert.equal(healthOf(cells, 0), Health.UNKNOWN)
  const seen: string[] = []
  prober.onChange = (change) => seen.push(`${statuses.length} ${change.isHealthy} ${change.problem}`)
  prober.start([spec])
  await until(() => changes.length === 3)
  assert.deepEqual(seen, ['1 false status 500', '5 true null', '11 false status 500'])
  assert.equal(healthOf(cells, 0), Health.DOWN)
})

test('never more than one check runs on an endpoint, however slow it is', async (t) => {
  let running = 0
  let most = 0
  let count = 0
  const { prober, spec } = await setUp(t, (request, respond) => {
    count++
    running++
    most = Math.max(most, running)
    request.socket.once('close', () => running--)
    setTimeout(respond, 30, 200)
  })
  prober.start([spec])
  await until(() => count >= 4)
  assert.equal(most, 1)
})

test('a new list checks new endpoints at once, and leaves the others their turn', async (t) => {
  const counts = [0, 0]
  const one = await serve(t, (_request, respond) => {
    counts[0]!++
    respond(200)
  })
  const two = await serve(t, (_request, respond) => {
    counts[1]!++
    respond(200)
  })
  const cells = createUpstreamCells(sharedNowMs(), 4, 1)
  const settings = { ...NO_TLS, check: { ...CHECK, intervalMs: 3_600_000 } }
  const prober = new Prober(cells, settings, { random: Math.random, now: sharedNowMs, onChange: () => assert.fail() })
  t.after(() => prober.close())
  prober.update([one.spec])
  await until(() => healthOf(cells, 0) === Health.UP)
  prober.update([one.spec, { ...two.spec, key: 'two', slot: 1 }])
  await until(() => healthOf(cells, 1) === Health.UP)
  assert.deepEqual(counts, [1, 1])
  prober.update([])
  prober.close()
})

test('without checks every endpoint counts as up again', async (t) => {
  const { prober, spec, cells } = await setUp(t, (_request, respond) => respond(500))
  prober.start([spec])
  await until(() => healthOf(cells, 0) === Health.DOWN)
  prober.close()
  assert.equal(healthOf(cells, 0), Health.UNKNOWN)
})

type Respond = (status: number) => void
type Handler = (request: IncomingMessage, respond: Respond) => void
/** The part of a test context that is needed here. */
interface Cleanup {
  after(task: () => void): void
}

async function setUp(t: Cleanup, handler: Handler) {
  const { spec } = await serve(t, handler)
  const cells = createUpstreamCells(sharedNowMs(), 4, 1)
  const changes: HealthChange[] = []
  const controls = {
    onChange: (_change: HealthChange): void => {},
    start: (list: EndpointSpec[]) => prober.update(list),
    close: () => prober.close(),
  }
  const onChange = (change: HealthChange): void => {
    changes.push(change)
    controls.onChange(change)
  }
  const prober = new Prober(cells, NO_TLS, { random: () => 0.5, now: sharedNowMs, onChange })
  t.after(() => prober.close())
  return { spec, cells, changes, prober: controls }
}

async function serve(t: Cleanup, handler: Handler): Promise<{ spec: EndpointSpec }> {
  const server = createServer((request, response) => {
    handler(request, (status) => {
      response.statusCode = status
      response.end()
    })
  })
  return { spec: await listen(t, server) }
}

async function listen(t: Cleanup, server: Server): Promise<EndpointSpec> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return specOf((server.address() as AddressInfo).port)
}

async function serveTcp(t: Cleanup, onSocket: (socket: Socket) => void): Promise<EndpointSpec> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return specOf((server.address() as AddressInfo).port)
}

async function closedPort(): Promise<number> {
  const server = createTcpServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function specOf(port: number): EndpointSpec {
  const host = '127.0.0.1'
  const common = { secure: false, unixPath: null, weight: 1, zone: null, slot: 0 }
  return { key: `http://${host}:${port}`, label: `${host}:${port}`, host, port, address: host, ...common }
}

function check(spec: EndpointSpec, settings: ProbeSettings): Promise<string | null> {
  return new Promise((resolve) => probe(spec, settings, resolve))
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 8000
  while (!isTrue()) {
    assert.ok(performance.now() < deadline, 'in time')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
