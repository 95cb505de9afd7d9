import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { CidrSet } from '../base/cidr.ts'
import { Listener } from './listener.ts'
import { writeProxyV1, writeProxyV2 } from './proxy-protocol/write.ts'
import { createCountCells } from './shared-count.ts'
import { openListener, readAll } from './testing/open-listener.ts'

const LOOPBACK = new CidrSet(['127.0.0.0/8'])
const ELSEWHERE = new CidrSet(['10.0.0.0/8'])
const LIMITS = { connections: 100, connectionsPerClient: 100, handshakes: 100, handshakesPerClient: 100 }
const ENDS = { sourceIp: '192.0.2.7', sourcePort: 4711, destinationIp: '198.51.100.1', destinationPort: 443 }

test('a plain connection is delivered paused, with no byte read', async (t) => {
  const open = await openListener(t)
  const client = open.connect()
  client.write('GET / HTTP/1.1\r\n')
  const { socket, info, firstBytes } = await open.next()
  assert.equal(firstBytes, null)
  assert.equal(socket.listenerCount('data'), 0)
  assert.equal(socket.isPaused(), true)
  assert.deepEqual(
    [info.listener, info.peerIp, info.peerPort, info.scheme, info.tls, info.proxyTlvs],
    ['public', '127.0.0.1', client.localPort, 'http', null, null],
  )
  const data = once(socket, 'data')
  socket.resume()
  assert.equal(String((await data)[0]), 'GET / HTTP/1.1\r\n')
})

test('a mapped IPv4 peer of a dual-stack listener is seen as IPv4', async (t) => {
  const open = await openListener(t, { address: { host: '::', port: 0 } })
  open.connect()
  assert.equal((await open.next()).info.peerIp, '127.0.0.1')
})

test('a half-closed client can still be answered', async (t) => {
  const open = await openListener(t)
  const client = open.connect()
  client.end('request')
  const { socket } = await open.next()
  socket.resume()
  await once(socket, 'end')
  socket.end('answer')
  assert.equal(await readAll(client), 'answer')
})

test('the peer is who a trusted PROXY header names, in both versions', async (t) => {
  const open = await openListener(t, { proxyProtocol: LOOPBACK, trustedProxies: ELSEWHERE })
  for (const header of [writeProxyV1(ENDS), writeProxyV2(ENDS, { authority: 'a.test', checksum: true })]) {
    open.connect().write(Buffer.concat([header, Buffer.from('GET /')]))
    const { socket, info, firstBytes } = await open.next()
    assert.deepEqual([info.peerIp, info.peerPort, info.peerTrusted], ['192.0.2.7', 4711, false])
    assert.deepEqual(info.destination, { ip: '198.51.100.1', port: 443 })
    assert.equal(String(firstBytes), 'GET /')
    assert.deepEqual([socket.listenerCount('data'), socket.isPaused(), socket.readableLength], [0, true, 0])
    assert.equal(info.proxyTlvs?.length, header.length > 100 ? 2 : info.proxyTlvs?.length)
  }
})

test('a PROXY header that comes byte by byte is read, and what follows is kept', async (t) => {
  const open = await openListener(t, { proxyProtocol: LOOPBACK })
  const client = open.connect().setNoDelay(true)
  for (const byte of writeProxyV2(ENDS)) {
    client.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { socket, info } = await open.next()
  assert.equal(info.peerIp, '192.0.2.7')
  const data = once(socket, 'data')
  socket.resume()
  client.write('later')
  assert.equal(String((await data)[0]), 'later')
})

test('LOCAL and UNKNOWN headers keep the real peer', async (t) => {
  const open = await openListener(t, { proxyProtocol: LOOPBACK })
  for (const header of [writeProxyV1(null), writeProxyV2(null)]) {
    const client = open.connect()
    client.write(header)
    const { info, firstBytes } = await open.next()
    assert.deepEqual([info.peerIp, info.peerPort, firstBytes], ['127.0.0.1', client.localPort, null])
  }
})

test('a trusted sender without a valid header is closed without a reply', async (t) => {
  const open = await openListener(t, { proxyProtocol: LOOPBACK })
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', 'PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n', '\r\n\r\n\0\r\nQUIT\n\x31']) {
    const client = open.connect()
    client.write(Buffer.from(bytes, 'latin1'))
    assert.equal(await readAll(client), '')
  }
  assert.deepEqual(
    open.refused,
    Array.from({ length: 3 }, () => ['proxy-protocol-invalid', '127.0.0.1']),
  )
  assert.deepEqual([open.delivered.length, open.listener.openConnections], [0, 0])
})

test('a stranger that claims another address by a PROXY header is closed', async (t) => {
  const open = await openListener(t, { proxyProtocol: ELSEWHERE })
  for (const header of [writeProxyV1(ENDS), writeProxyV2(ENDS)]) {
    const client = open.connect()
    client.write(header)
    assert.equal(await readAll(client), '')
  }
  assert.deepEqual(
    open.refused,
    Array.from({ length: 2 }, () => ['proxy-protocol-untrusted', '127.0.0.1']),
  )
})

test('a stranger that sends no PROXY header is served', async (t) => {
  const open = await openListener(t, { proxyProtocol: ELSEWHERE })
  open.connect().write('POST / HTTP/1.1\r\n')
  const { info, firstBytes } = await open.next()
  assert.deepEqual([info.peerIp, String(firstBytes)], ['127.0.0.1', 'POST / HTTP/1.1\r\n'])
})

test('a sender that never finishes its PROXY header is closed in time', async (t) => {
  const open = await openListener(t, { proxyProtocol: LOOPBACK, timeouts: { handshakeMs: 50 } })
  const client = open.connect()
  client.write('PROXY TCP4 ')
  assert.equal(await readAll(client), '')
  assert.deepEqual(open.refused, [['proxy-protocol-invalid', '127.0.0.1']])
})

test('a health check that only connects is no refusal', async (t) => {
  const open = await openListener(t, { proxyProtocol: LOOPBACK })
  open.connect().end()
  await open.until(() => open.closed === 1)
  assert.deepEqual([open.refused, open.listener.openConnections], [[], 0])
})

test('beyond the limit a client gets a 503 that names the code, and the place is not taken', async (t) => {
  const open = await openListener(t, { limits: { ...LIMITS, connections: 1 } })
  open.connect()
  const first = await open.next()
  const refused = open.connect()
  refused.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const reply = await readAll(refused)
  assert.match(reply, /^HTTP\/1\.1 503 Service Unavailable\r\n/)
  assert.match(reply, /"code":"connections-exceeded"\}$/)
  assert.equal(Number(/Content-Length: (\d+)/.exec(reply)?.[1]), reply.length - reply.indexOf('\r\n\r\n') - 4)
  first.socket.destroy()
  await open.until(() => open.closed === 1)
  assert.deepEqual([open.accepted, open.closed], [1, 1], 'the refused one is neither opened nor closed')
  open.connect()
  await open.next()
  assert.equal(open.listener.openConnections, 1)
})

test('at the limit the longest idle connection makes room for a newcomer', async (t) => {
  const open = await openListener(t, { limits: { ...LIMITS, connections: 2 } })
  const clients = [open.connect(), open.connect()]
  for (let i = 0; i < 2; i++) {
    const { socket, slot } = await open.next()
    slot.owner = { closeIdle: () => socket.destroy() }
    slot.markIdle()
  }
  const gone = Promise.race(clients.map((client, index) => readAll(client).then(() => index)))
  open.connect()
  await open.next()
  assert.ok((await gone) >= 0)
  assert.equal(open.listener.openConnections, 2)
})

test('under a flood, a connection that stalls before its PROXY header goes first', async (t) => {
  const open = await openListener(t, { proxyProtocol: LOOPBACK, limits: { ...LIMITS, connections: 1 } })
  const staller = open.connect()
  await once(staller, 'connect')
  staller.write('PROXY')
  open.connect().write(writeProxyV1(ENDS))
  assert.equal((await open.next()).info.peerIp, '192.0.2.7')
  assert.deepEqual(open.refused[0]?.[0], 'connections-exceeded')
})

test('clients behind one trusted PROXY sender are limited one by one', async (t) => {
  const open = await openListener(t, { proxyProtocol: LOOPBACK, limits: { ...LIMITS, connectionsPerClient: 1 } })
  open.connect().write(writeProxyV1(ENDS))
  await open.next()
  open.connect().write(writeProxyV1({ ...ENDS, sourceIp: '192.0.2.8' }))
  await open.next()
  const again = open.connect()
  again.write(writeProxyV1(ENDS))
  assert.equal(await readAll(again), '')
  assert.deepEqual(open.refused, [['connections-exceeded', '192.0.2.7']])
})

test('new settings hold for connections to come and close none', async (t) => {
  const open = await openListener(t)
  const client = open.connect()
  const { socket, info } = await open.next()
  open.listener.update({ ...open.settings, trustedProxies: LOOPBACK, proxyProtocol: ELSEWHERE })
  open.connect().write('GET')
  assert.equal((await open.next()).info.peerTrusted, true)
  assert.equal(info.peerTrusted, false)
  socket.end('still here')
  assert.equal(await readAll(client), 'still here')
})

test('after stopAccepting new connections are refused by the system and old ones go on', async (t) => {
  const open = await openListener(t)
  const client = open.connect()
  const { socket } = await open.next()
  await open.listener.stopAccepting()
  const late = open.connect()
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNREFUSED')
  socket.end('bye')
  assert.equal(await readAll(client), 'bye')
})

test('connections the kernel had accepted already are delivered, not reset, when accepting stops', async (t) => {
  const open = await openListener(t)
  const clients = Array.from({ length: 20 }, () => open.connect())
  await Promise.all(clients.map((client) => once(client, 'connect')))
  await open.listener.stopAccepting()
  assert.equal(open.delivered.length, 20)
})

test('twins share one port, each with its own socket', async (t) => {
  const cells = createCountCells(2)
  const counts = [0, 0]
  const create = (thread: number) =>
    new Listener(
      { ...settings, address: { host: '127.0.0.1', port: 0 } },
      { thread, threads: 2, connectionCells: cells, ticketKeys: Buffer.alloc(48) },
      (socket, _info, _first, slot) => {
        counts[thread]!++
        socket.on('close', () => slot.release())
        socket.on('error', () => {})
        socket.end('x')
        socket.resume()
      },
      { onAccepted() {}, onClosed() {}, onRefused() {}, onHandshakeFailed() {}, onError() {} },
    )
  const settings = (await openListener(t)).settings
  const [one, two] = [create(0), create(1)]
  t.after(() => Promise.all([one.stopAccepting(), two.stopAccepting()]))
  const port = await one.listen()
  assert.equal(await two.listen({ port }), port)
  for (let i = 0; i < 60; i++) await readAll(createConnection({ port, host: '127.0.0.1' }))
  assert.equal(counts[0]! + counts[1]!, 60)
  assert.ok(counts[0]! > 5 && counts[1]! > 5, `${counts}`)
})

test('a busy port is reported', async (t) => {
  const open = await openListener(t)
  const second = openListener(t, { address: { host: '127.0.0.1', port: open.port } })
  await assert.rejects(second, { code: 'EADDRINUSE' })
})

test('a unix socket is for owner and group, and its peers are called unix', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'edge.sock')
  const open = await openListener(t, { address: { path }, trustedProxies: LOOPBACK })
  assert.equal(statSync(path).mode & 0o777, 0o660)
  open.connect()
  const { info } = await open.next()
  assert.deepEqual([info.peerIp, info.peerPort, info.peerTrusted], ['unix', 0, false])
})

test('on a unix socket a PROXY header is demanded from everyone', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const open = await openListener(t, { address: { path: join(folder, 'edge.sock') }, proxyProtocol: ELSEWHERE })
  open.connect().write(writeProxyV2(ENDS))
  assert.equal((await open.next()).info.peerIp, '192.0.2.7')
  const client = open.connect()
  client.write('GET / HTTP/1.1\r\n')
  assert.equal(await readAll(client), '')
})

test('a socket file left by a killed process is replaced, one in use and other files are not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const stale = join(folder, 'stale.sock')
  const script = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`
  assert.throws(() => execFileSync(process.execPath, ['-e', script], { stdio: 'pipe' }))
  assert.ok(statSync(stale).isSocket())
  const open = await openListener(t, { address: { path: stale } })
  open.connect()
  await open.next()

  await assert.rejects(openListener(t, { address: { path: stale } }), /in use/)
  const file = join(folder, 'notes.txt')
  writeFileSync(file, 'mine')
  await assert.rejects(openListener(t, { address: { path: file } }), /not a socket/)
  assert.equal(statSync(file).size, 4)
  const foreign = join(folder, 'foreign.sock')
  const server = createServer().listen(foreign)
  t.after(() => server.close())
  await once(server, 'listening')
  await assert.rejects(openListener(t, { address: { path: foreign } }), /in use/)
})
