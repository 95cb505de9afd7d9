/** Layer 4 end to end: a listener in tcp mode, real clients, real endpoints. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net'
import { after, before, type TestContext, test } from 'node:test'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { Worker } from 'node:worker_threads'
import { CidrSet } from '../../src/base/cidr.ts'
import { Listener } from '../../src/listener/listener.ts'
import { ProxyHeader } from '../../src/listener/proxy-protocol/header.ts'
import { readProxyHeader } from '../../src/listener/proxy-protocol/read.ts'
import { writeProxyV2 } from '../../src/listener/proxy-protocol/write.ts'
import { createCountCells } from '../../src/listener/shared-count.ts'
import { type TcpEndpoint, TcpMode, type TcpRecord, type TcpSettings } from '../../src/listener/tcp-mode.ts'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { readAll } from '../../src/listener/testing/open-listener.ts'

const SETTINGS: TcpSettings = { connectTimeoutMs: 2000, idleTimeoutMs: 5000, attempts: 3, proxyProtocol: null }

let ca: TestCa
before(() => {
  ca = new TestCa('Test CA')
})
after(() => ca.remove())

/** An endpoint that writes down what the edge says of it. */
class NotedEndpoint implements TcpEndpoint {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly notes: string[] = []

  constructor(port: number) {
    this.port = port
  }

  started(): void {
    this.notes.push('started')
  }

  finished(ok: boolean): void {
    this.notes.push(ok ? 'ok' : 'failed')
  }
}

interface Edge {
  readonly mode: TcpMode
  readonly listener: Listener
  readonly records: TcpRecord[]
  connect(): Socket
  record(): Promise<TcpRecord>
}

/** An edge that tries the endpoints in order. */
async function openEdge(
  t: TestContext,
  endpoints: readonly TcpEndpoint[],
  settings: Partial<TcpSettings> = {},
  proxyProtocol: CidrSet | null = null,
): Promise<Edge> {
  const records: TcpRecord[] = []
  const waiting: (() => void)[] = []
  const clients: Socket[] = []
  const target = { pick: (_ip: string, tried: readonly TcpEndpoint[]) => endpoints[tried.length] ?? null }
  const mode = new TcpMode({ ...SETTINGS, ...settings }, target, Date.now, (record) => {
    records.push(record)
    for (const resolve of waiting.splice(0)) resolve()
  })
  const limits = { connections: 100, connectionsPerClient: 100, handshakes: 100, handshakesPerClient: 100 }
  const listener = new Listener(
    {
      name: 'balancer',
      address: { host: '127.0.0.1', port: 0 },
      mode: 'tcp',
      tls: null,
      proxyProtocol,
      trustedProxies: null,
      limits,
      timeouts: { handshakeMs: 2000 },
    },
    { thread: 0, threads: 1, connectionCells: createCountCells(1), ticketKeys: Buffer.alloc(48) },
    mode.accept,
    { onAccepted() {}, onClosed() {}, onRefused() {}, onHandshakeFailed() {}, onError() {} },
  )
  const port = await listener.listen()
  t.after(async () => {
    for (const client of clients) client.destroy()
    await listener.stopAccepting()
    await mode.drain(0)
  })
  return {
    mode,
    listener,
    records,
    connect: () => {
      const client = createConnection({ port, host: '127.0.0.1', allowHalfOpen: true })
      client.on('error', () => {})
      clients.push(client)
      return client
    },
    record: async () => {
      while (records.length === 0) await new Promise<void>((resolve) => waiting.push(resolve))
      return records.shift()!
    },
  }
}

async function serve(t: TestContext, onSocket: (socket: Socket) => void): Promise<NotedEndpoint> {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  return new NotedEndpoint(await listen(t, server, sockets))
}

async function listen(t: TestContext, server: Server, sockets: readonly Socket[] = []): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A port that refuses connections. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

test('bytes go both ways and each half is closed on its own', async (t) => {
  // Answers only after the client's FIN: a proxy that closes both halves at once would lose the answer.
  const endpoint = await serve(t, (socket) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => socket.end(`got ${Buffer.concat(chunks)}`))
  })
  const edge = await openEdge(t, [endpoint])
  const client = edge.connect()
  client.end('hello')
  assert.equal(await readAll(client), 'got hello')
  const record = await edge.record()
  assert.deepEqual(
    [record.outcome, record.bytesIn, record.bytesOut, record.attempts, record.endpoint],
    ['ok', 5, 9, 1, `127.0.0.1:${endpoint.port}`],
  )
  assert.deepEqual([endpoint.notes, edge.listener.openConnections, edge.mode.open], [['started', 'ok'], 0, 0])
})

test('the endpoint may close its half first and still hear the client', async (t) => {
  const heard = Promise.withResolvers<string>()
  const endpoint = await serve(t, (socket) => {
    socket.end('greeting')
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => heard.resolve(String(Buffer.concat(chunks))))
  })
  const edge = await openEdge(t, [endpoint])
  const client = edge.connect()
  client.resume()
  await once(client, 'end')
  client.end('late words')
  assert.equal(await heard.promise, 'late words')
  assert.equal((await edge.record()).outcome, 'ok')
})

test('large streams pass unchanged, and a slow reader holds the sender back', async (t) => {
  const total = 24 * 1024 * 1024
  const block = Buffer.alloc(64 * 1024, 'sallyport ')
  let sent = 0
  let sender: Socket | undefined
  const endpoint = await serve(t, (socket) => {
    sender = socket
    const pump = (): void => {
      while (sent < total) {
        sent += block.length
        if (!socket.write(block)) {
          socket.once('drain', pump)
          return
        }
      }
      socket.end()
    }
    pump()
  })
  const edge = await openEdge(t, [endpoint])
  const client = edge.connect()
  const hash = createHash('sha256')
  let received = 0
  client.on('data', (chunk: Buffer) => {
    received += chunk.length
    hash.update(chunk)
  })
  client.pause()
  await once(client, 'connect')
  // Wait until nothing moves any more: the sender stands still long before it has sent all.
  for (let last = -1; sent === 0 || last !== sent; ) {
    last = sent
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.ok(sent < total, `the sender went on to ${sent} of ${total}`)
  assert.ok(sender!.writableNeedDrain)
  client.resume()
  await once(client, 'end')
  assert.equal(received, total)
  const expected = createHash('sha256')
  for (let at = 0; at < total; at += block.length) expected.update(block)
  assert.equal(hash.digest('hex'), expected.digest('hex'))
})

test('a connect that fails is tried on another endpoint', async (t) => {
  const dead = new NotedEndpoint(await closedPort())
  const alive = await serve(t, (socket) => socket.end('second'))
  const edge = await openEdge(t, [dead, alive])
  const client = edge.connect()
  assert.equal(await readAll(client), 'second')
  const record = await edge.record()
  assert.deepEqual([record.attempts, record.endpoint], [2, `127.0.0.1:${alive.port}`])
  assert.deepEqual(dead.notes, ['started', 'failed'])
})

test('when no endpoint can be reached the client is closed and the line says why', async (t) => {
  const dead = [new NotedEndpoint(await closedPort()), new NotedEndpoint(await closedPort())]
  const edge = await openEdge(t, dead, { attempts: 5 })
  await readAll(edge.connect())
  const record = await edge.record()
  assert.deepEqual([record.outcome, record.attempts], ['upstream-connect-failed', 2])
  const none = await openEdge(t, [])
  await readAll(none.connect())
  const empty = await none.record()
  assert.deepEqual([empty.outcome, empty.endpoint, empty.attempts], ['upstream-unavailable', null, 0])
})

test('an endpoint that does not answer the connect is given up in time', async (t) => {
  // A listening socket whose queue is full drops further SYNs, as a dead host does.
  const blocked = new Worker(
    `const { createServer } = require('node:net'); const { parentPort } = require('node:worker_threads')
     const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port)
       setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 8000))
     })`,
    { eval: true },
  )
  t.after(() => blocked.terminate())
  const [blockedPort] = (await once(blocked, 'message')) as [number]
  const fillers = Array.from({ length: 8 }, () => createConnection({ port: blockedPort, host: '127.0.0.1' }))
  for (const filler of fillers) filler.on('error', () => {})
  t.after(() => {
    for (const filler of fillers) filler.destroy()
  })
  await Promise.all(fillers.slice(0, 2).map((filler) => once(filler, 'connect')))
  const endpoint = new NotedEndpoint(blockedPort)
  const edge = await openEdge(t, [endpoint], { connectTimeoutMs: 150 })
  await readAll(edge.connect())
  assert.equal((await edge.record()).outcome, 'upstream-connect-timeout')
  assert.deepEqual(endpoint.notes, ['started', 'failed'])
})

test('a reset by the client reaches the endpoint as a reset', async (t) => {
  const error = Promise.withResolvers<string | undefined>()
  const endpoint = await serve(t, (socket) => {
    socket.on('error', (cause: NodeJS.ErrnoException) => error.resolve(cause.code))
    socket.on('end', () => error.resolve('end'))
    socket.on('data', () => socket.write('x'))
  })
  const edge = await openEdge(t, [endpoint])
  const client = edge.connect()
  client.write('x')
  await once(client, 'data')
  client.resetAndDestroy()
  assert.equal(await error.promise, 'ECONNRESET')
  assert.equal((await edge.record()).outcome, 'client-gone')
  assert.deepEqual(endpoint.notes, ['started', 'ok'])
})

test('a reset by the endpoint reaches the client as a reset', async (t) => {
  const endpoint = await serve(t, (socket) => socket.on('data', () => socket.resetAndDestroy()))
  const edge = await openEdge(t, [endpoint])
  const client = edge.connect()
  client.write('x')
  client.resume()
  const [error] = (await once(client, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNRESET')
  assert.equal((await edge.record()).outcome, 'upstream-reset')
  assert.deepEqual(endpoint.notes, ['started', 'failed'])
})

test('a connection without a byte in either direction is ended', async (t) => {
  const endpoint = await serve(t, () => {})
  const edge = await openEdge(t, [endpoint], { idleTimeoutMs: 60 })
  await readAll(edge.connect())
  assert.equal((await edge.record()).outcome, 'idle-timeout')
})

test('the PROXY header comes first and names the client, in both versions', async (t) => {
  for (const proxyProtocol of ['v1', 'v2'] as const) {
    const first = Promise.withResolvers<Buffer>()
    const endpoint = await serve(t, (socket) => socket.on('data', (chunk: Buffer) => first.resolve(chunk)))
    const edge = await openEdge(t, [endpoint], { proxyProtocol })
    const client = edge.connect()
    client.write('hello')
    const bytes = await first.promise
    const header = readProxyHeader(bytes, 0, bytes.length)
    assert.ok(header instanceof ProxyHeader)
    assert.deepEqual([header.sourceIp, header.sourcePort], ['127.0.0.1', client.localPort])
    assert.deepEqual([header.destinationIp, header.destinationPort], ['127.0.0.1', client.remotePort])
  }
})

test('a PROXY header received is passed on with its addresses, and the bytes behind it', async (t) => {
  const all = Promise.withResolvers<Buffer>()
  const endpoint = await serve(t, (socket) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', () => {
      all.resolve(Buffer.concat(chunks))
      socket.end()
    })
  })
  const edge = await openEdge(t, [endpoint], { proxyProtocol: 'v2' }, new CidrSet(['127.0.0.1']))
  const ends = { sourceIp: '2001:db8::5', sourcePort: 77, destinationIp: '2001:db8::1', destinationPort: 443 }
  const client = edge.connect()
  client.end(Buffer.concat([writeProxyV2(ends, { checksum: true }), Buffer.from('body')]))
  client.resume()
  const bytes = await all.promise
  assert.deepEqual(bytes, Buffer.concat([writeProxyV2(ends), Buffer.from('body')]))
  const record = await edge.record()
  assert.deepEqual([record.connection.peerIp, record.bytesIn, record.outcome], ['2001:db8::5', 4, 'ok'])
})

test('TLS passes through to the endpoint untouched', async (t) => {
  const pair = ca.issue('/CN=inner', 'DNS:inner.test')
  const server = createTlsServer({ cert: pair.certificate, key: pair.key }, (socket) => socket.end('inside'))
  const endpoint = new NotedEndpoint(await listen(t, server))
  const edge = await openEdge(t, [endpoint])
  const client = connectTls({ socket: edge.connect(), servername: 'inner.test', ca: ca.certificate })
  t.after(() => client.destroy())
  assert.equal(await readAll(client), 'inside')
  assert.equal(client.authorized, true)
})

test('a drain waits for what runs, and ends what does not finish in time', async (t) => {
  const endpoint = await serve(t, (socket) => socket.on('data', (chunk) => socket.write(chunk)))
  const edge = await openEdge(t, [endpoint])
  const [quick, endless] = [edge.connect(), edge.connect()]
  for (const client of [quick, endless]) {
    client.write('x')
    await once(client, 'data')
  }
  await edge.listener.stopAccepting()
  const drained = edge.mode.drain(150)
  quick.resetAndDestroy()
  assert.equal((await edge.record()).outcome, 'client-gone')
  await drained
  assert.equal((await edge.record()).outcome, 'draining')
  assert.equal(edge.mode.open, 0)
})
