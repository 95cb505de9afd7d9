/** What slow, stuck and greedy peers cost: bounded memory, bounded time (listener limits and timeouts). */
import assert from 'node:assert/strict'
import { unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { EdgeInProcess, story } from '../support/edge-in-process.ts'
import { readResponses, statusOf, valuesOf } from '../support/second-reader.ts'
import { eventually, RawEndpoint, Wire } from '../support/wire.ts'

const HOST = 'Host: a.test\r\n'
const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\n${HOST}${fields}\r\n`
const MB = 1024 * 1024

/** Sends `piece` again and again until the other side takes no more; returns the bytes it took. */
async function fill(wire: Wire, piece: Buffer, most: number, calmMs = 250): Promise<number> {
  const { socket } = wire
  let sent = 0
  while (sent < most && !wire.closed) {
    socket.write(piece)
    sent += piece.length
    const from = performance.now()
    const taken = (): boolean => !socket.writableNeedDrain || wire.closed
    await eventually(
      () => taken() || performance.now() - from > calmMs,
      () => 'drained or calm',
      calmMs + 5000,
    )
    if (!taken()) break
  }
  return sent - socket.writableLength
}

story('a client that does not read holds 64 MB back at the endpoint', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.keep = false
  client.stopReading()
  client.send(get('/down'))
  const upstream = await endpoint.next()
  await upstream.untilText('\r\n\r\n')
  upstream.send(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MB}\r\n\r\n`)
  const taken = await fill(upstream, Buffer.alloc(MB), 64 * MB)
  assert.ok(taken < 24 * MB, `${taken} bytes left the endpoint`)
  assert.ok(edge.heldForClients < MB, `the edge holds ${edge.heldForClients}`)
  // When it reads on, everything comes.
  const head = client.received
  client.readOn()
  let sent = taken + upstream.socket.writableLength
  while (sent < 64 * MB) sent += await fill(upstream, Buffer.alloc(Math.min(MB, 64 * MB - sent)), 1)
  await client.until(({ received }) => received >= 64 * MB + head, 'all', 20_000)
  assert.equal((await edge.untilEnded(1)).outcome, 'ok')
})

story(
  "an endpoint that does not read holds a client's 64 MB back",
  { limits: { bodyBytes: 100 * MB } },
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(`POST /up HTTP/1.1\r\n${HOST}Content-Length: ${64 * MB}\r\n\r\n`)
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.keep = false
    upstream.stopReading()
    const taken = await fill(client, Buffer.alloc(MB), 64 * MB)
    assert.ok(taken < 24 * MB, `${taken} bytes left the client`)
    upstream.readOn()
    let sent = taken + client.socket.writableLength
    while (sent < 64 * MB) sent += await fill(client, Buffer.alloc(Math.min(MB, 64 * MB - sent)), 1)
    await upstream.until(({ received }) => received >= 64 * MB, 'all', 20_000)
    upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    assert.equal((await edge.untilEnded(1)).bytesIn, 64 * MB)
  },
)

story(
  'a tunnel whose client does not read holds the endpoint back, and the other way round',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(get('/ws', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'))
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.send('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n')
    await client.untilText('\r\n\r\n')
    client.stopReading()
    upstream.stopReading()
    assert.ok((await fill(upstream, Buffer.alloc(MB), 64 * MB)) < 24 * MB)
    assert.ok((await fill(client, Buffer.alloc(MB), 64 * MB)) < 24 * MB)
    assert.ok(edge.heldForClients < MB)
    client.reset()
    await edge.untilEnded(1)
  },
)

story(
  'a client that pipelines and never reads is not read on: fixed answers',
  { respond: { status: 200, body: 'x'.repeat(4096), headers: [] } },
  async (edge, _, open) => {
    const client = await open()
    client.stopReading()
    // Each request of 40 bytes asks for 4 KB.
    const taken = await fill(client, Buffer.from(get('/fixed').repeat(1000), 'latin1'), 32 * MB)
    assert.ok(
      edge.heldForClients < 2 * MB,
      `the edge holds ${edge.heldForClients} bytes for ${taken} bytes of requests`,
    )
    const answered = edge.ended.length
    client.keep = false
    client.readOn()
    await eventually(
      () => edge.ended.length > answered,
      () => 'it goes on when the client reads',
    )
    client.reset()
  },
)

story('a client that pipelines and never reads is not read on: forwarded answers', {}, async (edge, endpoint, open) => {
  endpoint.answerAll(() => `HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n${'x'.repeat(20_000)}`)
  const client = await open()
  client.stopReading()
  await fill(client, Buffer.from(get('/a').repeat(100), 'latin1'), 8 * MB)
  assert.ok(edge.heldForClients < MB, `the edge holds ${edge.heldForClients}`)
  const answered = edge.ended.length
  client.keep = false
  client.readOn()
  await eventually(
    () => edge.ended.length > answered + 100,
    () => 'it goes on when the client reads',
  )
  client.reset()
})

story(
  'a pipelining client that reads slowly gets every answer, in order',
  { respond: { status: 200, body: 'y'.repeat(10_000), headers: [] } },
  async (edge, _, open) => {
    const client = await open()
    client.stopReading()
    const count = 2000
    for (let i = 0; i < count; i++) client.send(get('/fixed'))
    await edge.roundTrip()
    client.end()
    client.readOn()
    client.keep = false
    await client.untilOver()
    await edge.untilEnded(count)
    assert.ok(client.received > count * 10_000)
  },
)

story(
  'a client that took no byte of an answer for the body time is cut',
  { timeouts: { bodyMs: 60 } },
  async (edge, endpoint, open) => {
    const client = await open()
    client.stopReading()
    client.send(get('/slow'))
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.send(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MB}\r\n\r\n`)
    void fill(upstream, Buffer.alloc(MB), 64 * MB, 2000)
    const { outcome } = await edge.untilEnded(1)
    assert.equal(outcome, 'client-too-slow')
    await upstream.untilOver()
  },
)

story(
  'a client that neither reads nor lets the endpoint read is cut: both directions are stuck',
  { timeouts: { bodyMs: 60 }, limits: { bodyBytes: 100 * MB } },
  async (edge, endpoint, open) => {
    const client = await open()
    client.stopReading()
    client.send(`POST /echo HTTP/1.1\r\n${HOST}Content-Length: ${64 * MB}\r\n\r\n`)
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.stopReading()
    upstream.send(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MB}\r\n\r\n`)
    void fill(upstream, Buffer.alloc(MB), 64 * MB, 4000)
    void fill(client, Buffer.alloc(MB), 64 * MB, 4000)
    assert.equal((await edge.untilEnded(1)).outcome, 'client-too-slow')
  },
)

story(
  'a pipelining client that never reads is cut',
  { timeouts: { bodyMs: 60, idleMs: 100, headMs: 100 }, respond: { status: 200, body: 'x'.repeat(4096), headers: [] } },
  async (edge, _, open) => {
    const client = await open()
    client.stopReading()
    void fill(client, Buffer.from(get('/fixed').repeat(1000), 'latin1'), 32 * MB, 4000)
    await eventually(
      () => edge.accepted === 1 && edge.released === 1,
      () => 'the connection is cut',
    )
    assert.ok(edge.ended.every(({ status }) => status === 200))
  },
)

story(
  'the end of an answer is not thrown away because its reader is slow',
  { timeouts: { bodyMs: 20_000 } },
  async (edge, endpoint, open) => {
    const readers: { client: Wire; sent: number }[] = []
    for (const version of ['1.0', '1.1']) {
      const client = await open()
      client.keep = false
      client.stopReading()
      client.send(`GET /last HTTP/${version}\r\n${HOST}Connection: close\r\n\r\n`)
      const upstream = await endpoint.next()
      await upstream.untilText('\r\n\r\n')
      upstream.send('HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n')
      const socket = [...edge.sockets].at(-1)
      assert.ok(socket !== undefined)
      // Until the client's window is shut and the edge itself holds the last piece.
      let sent = 0
      while (socket.writableLength === 0) {
        upstream.send(`4000\r\n${'b'.repeat(0x4000)}\r\n`)
        sent += 0x4000
        const expected = sent
        await eventually(
          () => socket.bytesWritten > expected,
          () => `the edge has ${expected} bytes`,
        )
      }
      upstream.send('0\r\n\r\n')
      readers.push({ client, sent })
      await edge.untilEnded(readers.length)
    }
    const ended = performance.now()
    // Longer than the edge waits for a client that sends on after its last answer.
    await eventually(
      () => performance.now() > ended + 2600,
      () => 'time passes',
    )
    for (const { client, sent } of readers) {
      client.readOn()
      await client.untilOver()
      assert.equal(client.error, null)
      assert.ok(client.received > sent, `${client.received} of ${sent}`)
    }
  },
)

story(
  'a head that does not end in time is answered 408, its request line logged',
  { timeouts: { headMs: 60 } },
  async (edge, _, open) => {
    const client = await open()
    client.send('GET /slow HTTP/1.1\r\nHost: a.')
    await client.untilOver()
    assert.deepEqual(
      readResponses(client.text, []).map(({ startLine }) => statusOf(startLine)),
      [408],
    )
    const { outcome, method, target } = await edge.untilEnded(1)
    assert.deepEqual([outcome, method, target], ['head-timeout', 'GET', '/slow'])
  },
)

story(
  'a head that drips in is cut off at its time, however steadily it drips',
  { timeouts: { headMs: 120 } },
  async (edge, _, open) => {
    const client = await open()
    client.send(get('/fixed'))
    await client.untilText('fixed')
    client.send('GET /drip HTTP/1.1\r\n')
    const timer = setInterval(() => client.send('a: b\r\n'), 10)
    await client.untilOver()
    clearInterval(timer)
    assert.equal((await edge.untilEnded(2)).outcome, 'head-timeout')
  },
)

story(
  'a newcomer that says nothing is closed without an answer',
  { timeouts: { headMs: 60 } },
  async (edge, _, open) => {
    const client = await open()
    await client.untilOver()
    assert.equal(client.text, '')
    assert.equal(edge.opened, 0)
  },
)

story('an idle connection is closed without an answer', { timeouts: { idleMs: 60 } }, async (edge, _, open) => {
  const client = await open()
  client.send(get('/fixed'))
  await client.untilText('fixed')
  assert.equal(edge.idle, 1)
  await client.untilOver()
  assert.equal(readResponses(client.text, []).length, 1)
})

story(
  'a body that stops is answered 408 and taken back from the endpoint',
  { timeouts: { bodyMs: 60 } },
  async (edge, endpoint, open) => {
    for (const framing of ['Content-Length: 9\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n9\r\nabc']) {
      const client = await open()
      client.send(`POST /slow HTTP/1.1\r\n${HOST}${framing}`)
      const upstream = await endpoint.next()
      await client.untilOver()
      assert.deepEqual(
        readResponses(client.text, []).map(({ startLine }) => statusOf(startLine)),
        [408],
      )
      await upstream.untilOver()
      assert.ok(!upstream.text.endsWith('0\r\n\r\n'))
    }
    assert.deepEqual(
      edge.ended.map(({ outcome }) => outcome),
      ['body-timeout', 'body-timeout'],
    )
  },
)

story(
  'a body that keeps dripping is not cut by the body time',
  { timeouts: { bodyMs: 150 } },
  async (edge, endpoint, open) => {
    endpoint.answerAll(() => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    const client = await open()
    client.send(`POST /drip HTTP/1.1\r\n${HOST}Content-Length: 20\r\n\r\n`)
    let sent = 0
    const timer = setInterval(() => {
      if (sent++ < 20) client.send('a')
    }, 25)
    assert.equal((await edge.untilEnded(1)).outcome, 'ok')
    clearInterval(timer)
  },
)

story(
  "an endpoint that takes no body byte runs into its time, not the client's",
  { timeouts: { bodyMs: 50 }, upstream: { idleTimeoutMs: 200 }, limits: { bodyBytes: 100 * MB } },
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(`POST /up HTTP/1.1\r\n${HOST}Content-Length: ${64 * MB}\r\n\r\n`)
    const upstream = await endpoint.next()
    upstream.stopReading()
    void fill(client, Buffer.alloc(MB), 64 * MB, 3000)
    const { outcome, status } = await edge.untilEnded(1)
    assert.deepEqual([outcome, status], ['upstream-response-timeout', 504])
  },
)

story(
  'while a client does not read, the endpoint is not blamed for silence',
  { upstream: { idleTimeoutMs: 60 } },
  async (edge, endpoint, open) => {
    const client = await open()
    client.keep = false
    client.stopReading()
    client.send(get('/down'))
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.send(`HTTP/1.1 200 OK\r\nContent-Length: ${24 * MB}\r\n\r\n`).send(Buffer.alloc(24 * MB))
    const from = performance.now()
    await eventually(
      () => performance.now() > from + 300,
      () => 'time passes',
    )
    assert.equal(edge.ended.length, 0)
    client.readOn()
    assert.equal((await edge.untilEnded(1)).outcome, 'ok')
  },
)

test('an answer that breaks off over TLS and over a unix socket is cut without harm to the edge', {
  timeout: 30_000,
}, async () => {
  const ca = new TestCa('pressure')
  const pair = ca.issue('/CN=edge.test', 'DNS:edge.test')
  const path = join(tmpdir(), `sallyport-pressure-${process.pid}.sock`)
  for (const options of [{ tls: { cert: pair.certificate, key: pair.key } }, { unix: path }]) {
    const endpoint = await RawEndpoint.start()
    const edge = await EdgeInProcess.start({ timeouts: { bodyMs: 100 }, ...options }, [endpoint.port])
    try {
      const open = (): Wire =>
        new Wire(
          'tls' in options
            ? connectTls({ port: edge.port, host: '127.0.0.1', ca: ca.certificate, servername: 'edge.test' })
            : connect(path),
        )
      const broken = open()
      broken.send(`GET /b HTTP/1.0\r\n${HOST}\r\n`)
      const upstream = await endpoint.next()
      await upstream.untilText('\r\n\r\n')
      upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
      await broken.untilText('half')
      upstream.reset()
      await broken.untilOver()
      const unknown = open()
      unknown.send(`GET /b HTTP/1.0\r\n${HOST}\r\n`)
      const second = await endpoint.next()
      await second.untilText('\r\n\r\n')
      second.send('HTTP/1.1 200 OK\r\n\r\nhalf')
      await unknown.untilText('half')
      second.reset()
      await unknown.untilOver()
      const stuck = open()
      stuck.send(get('/stuck'))
      stuck.stopReading()
      const third = await endpoint.next()
      await third.untilText('\r\n\r\n')
      third.send(`HTTP/1.1 200 OK\r\nContent-Length: ${32 * MB}\r\n\r\n`).send(Buffer.alloc(32 * MB))
      await edge.untilEnded(3)
      for (const client of [broken, unknown, stuck]) client.close()
      assert.deepEqual(
        edge.ended.map(({ outcome }) => outcome),
        ['upstream-reset', 'upstream-reset', 'client-too-slow'],
      )
      await edge.close()
    } finally {
      endpoint.close()
      edge.stop()
    }
  }
  try {
    unlinkSync(path)
  } catch {
    // The listener has taken it away.
  }
  ca.remove()
})

story('a connection that drains says close and ends', {}, async (edge, endpoint, open) => {
  endpoint.answerAll(() => 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx')
  const client = await open()
  client.send(get('/a'))
  await client.until(({ text }) => text.endsWith('x'), 'the first')
  edge.settings.closing = true
  client.send(get('/a') + get('/b'))
  await client.untilOver()
  const [, second, none] = readResponses(client.text, [])
  assert.ok(second !== undefined)
  assert.deepEqual(valuesOf(second, 'connection'), ['close'])
  assert.equal(none, undefined)
  assert.equal(edge.ended.length, 2)
})
