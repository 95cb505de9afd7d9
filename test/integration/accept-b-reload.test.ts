/** Reloads by signal and by command: what changes, what stays, what is never cut. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { EdgeProcess, eventually } from '../server-standin/process.ts'
import { freePort } from '../server-standin/real-edge.ts'
import { ask, askMany } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { listen } from '../support/endpoints.ts'
import { Puppet } from '../support/puppet.ts'
import { askOpen, connectTo } from '../support/raw-client.ts'
import { readMetrics } from '../support/read-metrics.ts'

const BIN = fileURLToPath(new URL('../../bin/sallyport', import.meta.url))
const ending = endOfFile()
let edge: RunningEdge
let process_: EdgeProcess
let port = 0
let streamPort = 0
let metricsPort = 0
let one: Puppet
let two: Puppet
let sick: Puppet

/** Sections of the file; a test changes one and keeps the rest. */
interface Parts {
  readonly routes?: string
  readonly upstreams?: string
  readonly listeners?: string
  readonly accessLog?: string
}

const yaml = (parts: Parts = {}): string => `
listeners:
  public: { address: '127.0.0.1:0', limits: { bodyBytes: 1KiB } }
${parts.listeners ?? ''}
upstreams:
  app: { endpoints: ['${one.url}'] }
  streams: { endpoints: ['http://127.0.0.1:${streamPort}'] }
  sick: { endpoints: ['${sick.url}'], healthCheck: { interval: 10m, timeout: 1s } }
  ejecting: { balancer: round-robin, endpoints: ['${one.url}', '${two.url}'], ejection: { consecutiveFailures: 2, for: 10m } }
${parts.upstreams ?? ''}
routes:
  - { name: sick, path: /sick, upstream: sick }
  - { name: ejecting, path: /ejecting, upstream: ejecting }
${parts.routes ?? `  - { name: streams, path: /streams/*, upstream: streams }\n  - { name: app, path: /app, upstream: app }`}
telemetry: { accessLog: { path: ${parts.accessLog ?? 'access.jsonl'} }, metrics: { address: '127.0.0.1:${metricsPort}' } }
`

before(async () => {
  one = await Puppet.start(ending, 'one')
  two = await Puppet.start(ending, 'two')
  sick = await Puppet.start(ending, 'sick')
  sick.health = 500
  const streams = createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    response.write('data: 0\n\n')
    events.push((text) => response.write(text))
  })
  streams.on('upgrade', (_, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n')
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  streamPort = await listen(ending, streams)
  metricsPort = await freePort()
  edge = new RunningEdge(ending)
  process_ = await edge.start(yaml(), '--threads', '2')
  port = edge.port('public')
})

const events: ((text: string) => void)[] = []

/** Runs `sallyport reload` to its end. */
async function reload(): Promise<{ status: number | string; out: string; err: string }> {
  const command = new EdgeProcess(['reload', '-c', edge.file], {}, BIN)
  const status = await command.exited
  return { status, out: command.out, err: command.err }
}

let reported = 0

/** Reloads by signal; resolves when the edge has said what came of it. */
async function hangup(): Promise<string> {
  const from = reported
  process_.signal('SIGHUP')
  return process_.until('the result of the reload', () => {
    const text = process_.err.slice(from)
    const end = /"event":"(?:reloaded|reload-refused)".*\n/.exec(text)
    if (end === null) return null
    reported = from + end.index + end[0].length
    return text.slice(0, end.index + end[0].length)
  })
}

test('a bad file changes nothing and everything that is wrong is told, by SIGHUP and by `sallyport reload`', async () => {
  const mistakes = yaml({
    routes:
      '  - { path: /app, upstream: nowhere }\n  - { path: no-slash, respond: {} }\n  - { path: /x, respond: { status: 99 } }',
    upstreams: '  extra: { endpoints: [] }',
  })
  edge.write('sallyport.yaml', mistakes)
  const bySignal = await hangup()
  const byCommand = await reload()
  reported = process_.err.length
  const wrong = [
    /routes\[2\]\.upstream/,
    /routes\[3\]\.path/,
    /routes\[4\]\.respond\.status/,
    /upstreams\.extra\.endpoints/,
  ]
  for (const one of wrong) {
    assert.match(bySignal, one)
    assert.match(byCommand.err, one)
  }
  for (const line of byCommand.err.trim().split('\n')) assert.match(line, /sallyport\.yaml:\d+:\d+ \S+: /)
  assert.deepEqual([byCommand.status, byCommand.out], [2, ''])
  assert.equal((await ask(port, '/app')).body, 'one')
  assert.equal((await readMetrics(`http://127.0.0.1:${metricsPort}/metrics`)).value('sallyport_threads'), 2)
  assert.equal(wrong.length, 4)
})

test('`sallyport reload` prints what runs now; a file that cannot be had, or has no listener, is bad configuration', async () => {
  edge.write('sallyport.yaml', yaml())
  const good = await reload()
  assert.deepEqual([good.status, good.err], [0, ''])
  assert.match(good.out, /^reloaded: generation 2\n$/)
  edge.write('sallyport.yaml', 'listeners: {}\n')
  assert.equal((await reload()).status, 2)
  edge.write('sallyport.yaml', '\u0000')
  assert.equal((await reload()).status, 2)
  reported = process_.err.length
  assert.equal((await ask(port, '/app')).body, 'one')
})

test('an address that is taken fails the reload with status 1, and nothing of it stays', async () => {
  const taken = createTcpServer()
  taken.listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const other = await freePort()
  const address = (taken.address() as AddressInfo).port
  edge.write(
    'sallyport.yaml',
    yaml({ listeners: `  other: { address: '127.0.0.1:${other}' }\n  taken: { address: '127.0.0.1:${address}' }` }),
  )
  const { status, err } = await reload()
  taken.close()
  reported = process_.err.length
  assert.equal(status, 1)
  assert.match(err, /listeners\.taken\.address: cannot listen/)
  await assert.rejects(ask(other, '/app'), /ECONNREFUSED/)
  assert.equal((await ask(port, '/app')).body, 'one')
})

test('WebSocket, event stream, kept connection and running request go on over reloads that take their routes away', async () => {
  const socket = await connectTo(port)
  await askOpen(socket, 'GET /streams/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n', (text) =>
    text.endsWith('\r\n\r\n'),
  )
  const stream = await connectTo(port)
  await askOpen(stream, 'GET /streams/events HTTP/1.1\r\nHost: a\r\n\r\n', (text) => text.includes('data: 0'))
  const kept = await connectTo(port)
  const got = (body: string) => (text: string) => text.endsWith(body)
  await askOpen(kept, 'GET /app HTTP/1.1\r\nHost: a\r\n\r\n', got('one'))
  one.behaviour = 'hang'
  const hits = one.hits
  const running = ask(port, '/app')
  await eventually('the request', async () => one.hits === hits + 1 || null)
  one.behaviour = 200
  for (let n = 1; n <= 3; n++) {
    const routes = n === 3 ? undefined : `  - { name: app, path: /app, respond: { body: 'reload ${n}' } }`
    await edge.reload(yaml(routes === undefined ? {} : { routes }))
    assert.equal(await askOpen(socket, `ping ${n}`, got(`ping ${n}`)), `ping ${n}`)
    events[0](`data: ${n}\n\n`)
    await once(stream, 'data')
    assert.match(
      await askOpen(kept, 'GET /app HTTP/1.1\r\nHost: a\r\n\r\n', got(n === 3 ? 'one' : `reload ${n}`)),
      /^HTTP\/1\.1 200 OK\r\n(?![\s\S]*Connection: close)/,
    )
  }
  one.release()
  assert.deepEqual(await running.then(({ status, body }) => [status, body]), [200, 'one'])
  for (const open of [socket, stream, kept]) open.destroy()
})

test('a listener can be added, changed and taken away', async () => {
  const extra = await freePort()
  const listener = (rest: string): Parts => ({ listeners: `  extra: { address: '127.0.0.1:${extra}'${rest} }` })
  await edge.reload(yaml(listener('')))
  const kept = await connectTo(extra)
  const post = (length: number): string =>
    `POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`
  assert.match(await askOpen(kept, post(2000), (text) => text.endsWith('one')), /^HTTP\/1\.1 200 /)
  await edge.reload(yaml(listener(', limits: { bodyBytes: 1KiB }')))
  // New limits hold for the next request of an open connection.
  assert.match(await askOpen(kept, post(2000), (text) => text.includes('body-too-large')), /^HTTP\/1\.1 413 /)
  assert.equal((await ask(extra, '/app', { method: 'POST', body: 'x'.repeat(1000) })).status, 200)
  await edge.reload(yaml())
  await assert.rejects(ask(extra, '/app'), /ECONNREFUSED/)
  assert.equal((await ask(port, '/app')).status, 200)
  kept.destroy()
})

test('health, ejections and counters are kept', async () => {
  const url = `http://127.0.0.1:${metricsPort}/metrics`
  assert.equal((await ask(port, '/sick')).status, 503)
  sick.health = 200
  two.behaviour = 503
  await askMany(port, () => '/ejecting', 12, 1)
  const ejectedAfter = two.hits
  assert.equal(ejectedAfter, 2)
  const before = await readMetrics(url)
  await edge.reload(yaml({ upstreams: `  more: { endpoints: ['${two.url}'] }` }))
  await edge.reload(yaml())
  // The next check is in ten minutes, so a 200 would mean that health was forgotten.
  assert.equal((await ask(port, '/sick')).status, 503)
  await askMany(port, () => '/ejecting', 12, 1)
  assert.equal(two.hits, ejectedAfter)
  const after = await readMetrics(url)
  for (const { name, labels, value } of before.samples) {
    if (!name.endsWith('_total') && !name.endsWith('_count')) continue
    assert.ok((after.value(name, labels) ?? -1) >= value, `${name} ${JSON.stringify(labels)} went back`)
  }
  const answered = { route: 'ejecting', status: '2xx' }
  assert.equal(
    after.value('sallyport_requests_total', answered),
    (before.value('sallyport_requests_total', answered) ?? 0) + 12,
  )
})

test('the access log moves to a new path, and metrics go away', async () => {
  await edge.reload(yaml({ accessLog: 'other.jsonl' }))
  await ask(port, '/app')
  await eventually('the new file', async () => existsSync(join(edge.folder, 'other.jsonl')) || null)
  await edge.reload(yaml().replace(/, metrics: \{[^}]*\}/, ''))
  await assert.rejects(ask(metricsPort, '/metrics'), /ECONNREFUSED/)
  await ask(port, '/app?back')
  await edge.line('the old file again', ({ query }) => query === 'back')
})

test('twenty signals at once end with the last file, and cut nothing', async () => {
  const sockets: Socket[] = []
  for (let n = 0; n < 20; n++) {
    edge.write('sallyport.yaml', yaml({ routes: `  - { name: app, path: /app, respond: { body: 'file ${n}' } }` }))
    process_.signal('SIGHUP')
    if (n % 5 === 0) sockets.push(await connectTo(port))
  }
  await eventually('the last file', async () => ((await ask(port, '/app')).body === 'file 19' ? true : null))
  for (const socket of sockets) {
    await askOpen(socket, 'GET /app HTTP/1.1\r\nHost: a\r\n\r\n', (text) => text.endsWith('file 19'))
    socket.destroy()
  }
  assert.doesNotMatch(process_.err, /thread-died|defect/)
})
