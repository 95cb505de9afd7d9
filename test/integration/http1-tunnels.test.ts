/** Upgrades: bytes pass both ways only after a 101, none is lost (RFC 9110 7.8). */
import assert from 'node:assert/strict'
import { story } from '../support/edge-in-process.ts'
import { readResponses, statusOf } from '../support/second-reader.ts'
import { eventually, type RawEndpoint, type Wire } from '../support/wire.ts'

const HOST = 'Host: a.test\r\n'
const UPGRADE = `GET /ws HTTP/1.1\r\n${HOST}Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n`
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n'

async function tunnel(client: Wire, endpoint: RawEndpoint): Promise<Wire> {
  client.send(UPGRADE)
  const upstream = await endpoint.next()
  await upstream.untilText('\r\n\r\n')
  upstream.send(SWITCH)
  await client.untilText('\r\n\r\n')
  return upstream
}

story(
  'an upgrade becomes a tunnel with the 101, both ways, and its fields are passed on',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    const upstream = await tunnel(client, endpoint)
    assert.match(upstream.text, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/)
    assert.match(upstream.text, /\r\nSec-WebSocket-Key: k\r\n/)
    assert.match(client.text, /^HTTP\/1.1 101 Switching Protocols\r\n/)
    assert.match(client.text, /\r\nSec-WebSocket-Accept: a\r\n/)
    assert.match(client.text, /\r\nUpgrade: websocket\r\n/)
    client.send('ping')
    await upstream.until(({ text }) => text.endsWith('\r\n\r\nping'), 'ping')
    upstream.send('pong')
    await client.until(({ text }) => text.endsWith('\r\n\r\npong'), 'pong')
    assert.equal(edge.ended.length, 0, 'it runs')
    client.end()
    upstream.end()
    await edge.untilEnded(1)
    assert.deepEqual([edge.ended[0]?.status, edge.ended[0]?.outcome], [101, 'ok'])
    assert.deepEqual([edge.ended[0]?.bytesIn, edge.ended[0]?.bytesOut], [4, 4])
  },
)

story('bytes right behind both heads pass, those of the client not before the 101', {}, async (_, endpoint, open) => {
  const client = await open()
  client.send(`${UPGRADE}early`)
  const upstream = await endpoint.next()
  await upstream.untilText('\r\n\r\n')
  assert.ok(upstream.text.endsWith('\r\n\r\n'), 'nothing behind the head yet')
  upstream.send(`${SWITCH}first`)
  await client.until(({ text }) => text.endsWith('\r\n\r\nfirst'), 'first')
  await upstream.until(({ text }) => text.endsWith('\r\n\r\nearly'), 'early')
  client.reset()
})

story('a 101 cut at any place loses nothing', {}, async (_, endpoint, open) => {
  const whole = `${SWITCH}first`
  for (let cut = 1; cut < whole.length; cut += 7) {
    const client = await open()
    client.send(UPGRADE)
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.send(whole.slice(0, cut))
    const other = await open()
    other.send(`GET /fixed HTTP/1.1\r\n${HOST}\r\n`)
    await other.untilText('fixed')
    upstream.send(whole.slice(cut))
    await client.until(({ text }) => text.endsWith('\r\n\r\nfirst'), `first, cut at ${cut}`)
    client.reset()
    other.close()
  }
})

story('half-close passes through: the other direction goes on until it ends too', {}, async (edge, endpoint, open) => {
  const client = await open()
  const upstream = await tunnel(client, endpoint)
  client.send('last words').end()
  await upstream.until(({ ended }) => ended, 'FIN at the endpoint')
  assert.ok(upstream.text.endsWith('last words'))
  assert.equal(client.ended, false)
  upstream.send('an answer').end()
  await client.until(({ ended }) => ended, 'FIN at the client')
  assert.ok(client.text.endsWith('an answer'))
  await edge.untilEnded(1)
})

story('half-close passes through from the endpoint too', {}, async (edge, endpoint, open) => {
  const client = await open()
  const upstream = await tunnel(client, endpoint)
  upstream.send('last words').end()
  await client.until(({ ended }) => ended, 'FIN at the client')
  assert.ok(client.text.endsWith('last words'))
  client.send('an answer').end()
  await upstream.until(({ ended }) => ended, 'FIN at the endpoint')
  assert.ok(upstream.text.endsWith('an answer'))
  await edge.untilEnded(1)
})

story('a client that said FIN before the 101 has it passed on with the tunnel', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.send(`${UPGRADE}early`).end()
  const upstream = await endpoint.next()
  await upstream.untilText('\r\n\r\n')
  upstream.send(`${SWITCH}first`)
  await upstream.until(({ ended, text }) => ended && text.endsWith('early'), 'early and FIN')
  upstream.send('last').end()
  await client.until(({ ended }) => ended, 'FIN at the client')
  assert.ok(client.text.endsWith('firstlast'))
  await edge.untilEnded(1)
})

story(
  'the last bytes of an endpoint reach a client that reads late, though it sent into a closed endpoint',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    const upstream = await tunnel(client, endpoint)
    client.keep = false
    client.stopReading()
    const [socket] = edge.sockets
    assert.ok(socket !== undefined)
    // Until the client's window is shut and the edge itself holds the last piece.
    let sent = 0
    while (socket.writableLength === 0) {
      upstream.send(Buffer.alloc(16_384, 0x62))
      sent += 16_384
      const expected = sent
      await eventually(
        () => socket.bytesWritten > expected,
        () => `the edge has ${expected} bytes`,
      )
    }
    upstream.end()
    await eventually(
      () => socket.writableEnded,
      () => 'the edge has the FIN',
    )
    // The endpoint's process is gone: what the client still sends is answered with RST.
    upstream.close()
    for (let i = 0; i < 5; i++) {
      client.send('bye')
      await edge.roundTrip()
    }
    client.readOn()
    await client.untilOver()
    assert.equal(client.error, null)
    assert.equal(client.received, socket.bytesWritten)
    assert.ok(client.received > sent)
    client.end()
    assert.equal((await edge.untilEnded(1)).outcome, 'ok')
  },
)

story('a tunnel is broken off by a reset of either side', {}, async (edge, endpoint, open) => {
  const client = await open()
  const upstream = await tunnel(client, endpoint)
  client.reset()
  await upstream.untilOver()
  const other = await open()
  const second = await tunnel(other, endpoint)
  second.reset()
  await other.untilOver()
  await edge.untilEnded(2)
})

story('large amounts pass a tunnel both ways at once', {}, async (_, endpoint, open) => {
  const client = await open()
  const upstream = await tunnel(client, endpoint)
  const [sentUp, sentDown] = [upstream.received, client.received]
  upstream.keep = false
  client.keep = false
  const size = 8_000_000
  client.send(Buffer.alloc(size)).end()
  upstream.send(Buffer.alloc(size)).end()
  await upstream.until(({ ended }) => ended, 'all at the endpoint')
  await client.until(({ ended }) => ended, 'all at the client')
  assert.equal(upstream.received - sentUp, size)
  assert.equal(client.received - sentDown, size)
})

story(
  'an upgrade that the endpoint refuses stays HTTP: what follows is the next request',
  {},
  async (edge, endpoint, open) => {
    let status = 0
    endpoint.answerAll(() => `HTTP/1.1 ${status} No\r\nContent-Length: 2\r\n\r\nno`)
    for (status of [200, 426]) {
      const client = await open()
      client.send(`${UPGRADE}GET /fixed HTTP/1.1\r\n${HOST}\r\n`)
      await client.until(({ text }) => text.endsWith('fixed'), 'both answers')
      assert.deepEqual(
        readResponses(client.text, []).map(({ startLine }) => statusOf(startLine)),
        [status, 200],
      )
    }
    assert.equal(edge.ended.length, 4)
  },
)

story('a 101 that nobody asked for is refused', {}, async (edge, endpoint, open) => {
  const asks = [
    `GET /ws HTTP/1.1\r\n${HOST}\r\n`,
    `GET /ws HTTP/1.1\r\n${HOST}Upgrade: websocket\r\n\r\n`,
    `GET /ws HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: a\r\n\r\n`,
    `GET /ws HTTP/1.0\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    `POST /ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\na`,
  ]
  for (const ask of asks) {
    const client = await open()
    client.send(ask)
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    assert.doesNotMatch(upstream.text, /\r\nUpgrade:/i)
    upstream.send(`${SWITCH}evil`)
    await client.untilText('"code":"upstream-response-invalid"')
    assert.doesNotMatch(client.text, /101|evil/)
    await upstream.untilOver()
    client.close()
  }
  assert.deepEqual(
    edge.ended.map(({ status }) => status),
    [502, 502, 502, 502, 502],
  )
})

story('a 101 without Upgrade is refused', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.send(UPGRADE)
  const upstream = await endpoint.next()
  await upstream.untilText('\r\n\r\n')
  upstream.send('HTTP/1.1 101 Switching Protocols\r\n\r\nevil')
  await client.untilText('"code":"upstream-response-invalid"')
  assert.equal((await edge.untilEnded(1)).status, 502)
})
