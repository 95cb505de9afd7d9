/** `upstream.concurrency` with two threads, for requests and for connections. */
import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { before, test } from 'node:test'
import { eventually } from '../server-standin/process.ts'
import { ask, tally } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { listen } from '../support/endpoints.ts'
import { Puppet } from '../support/puppet.ts'
import { askOpen, connectTo, readToEnd } from '../support/raw-client.ts'
import { readMetrics } from '../support/read-metrics.ts'

const ending = endOfFile()
const NAMES = ['seven', 'small', 'brief', 'zero', 'free', 'grow', 'tunnel']
let edge: RunningEdge
let port = 0
let metrics = ''
const puppets: Record<string, Puppet> = {}
/** Connections at the TCP endpoint that are open. */
const atEndpoint: Socket[] = []
let tcpPort = 0

const yaml = (growLimit: number): string => `
listeners:
  public: { address: '127.0.0.1:0' }
  bytes: { address: '127.0.0.1:0', mode: tcp, upstream: bytes }
upstreams:
  seven: { endpoints: ['${puppets.seven.url}'], concurrency: { limit: 7, queue: 200, queueTimeout: 30s } }
  small: { endpoints: ['${puppets.small.url}'], concurrency: { limit: 1, queue: 2, queueTimeout: 30s } }
  brief: { endpoints: ['${puppets.brief.url}'], concurrency: { limit: 1, queue: 10, queueTimeout: 300ms } }
  zero: { endpoints: ['${puppets.zero.url}'], concurrency: { limit: 0, queue: 10, queueTimeout: 30s } }
  free: { endpoints: ['${puppets.free.url}'] }
  grow: { endpoints: ['${puppets.grow.url}'], concurrency: { limit: ${growLimit}, queue: 10, queueTimeout: 30s } }
  bytes: { endpoints: ['tcp://127.0.0.1:${tcpPort}'], concurrency: { limit: 2, queue: 1, queueTimeout: 2s } }
routes:
${NAMES.slice(0, 6)
  .map((name) => `  - { path: /${name}, upstream: ${name} }`)
  .join('\n')}
telemetry: { accessLog: { path: access.jsonl }, metrics: { address: '127.0.0.1:0' } }
`

before(async () => {
  for (const name of NAMES) puppets[name] = await Puppet.start(ending, name)
  const server = createServer((socket) => {
    atEndpoint.push(socket)
    socket.on('error', () => {})
    socket.on('close', () => atEndpoint.splice(atEndpoint.indexOf(socket), 1))
    socket.on('data', (chunk: Buffer) => socket.write(`echo ${chunk}`))
  })
  tcpPort = await listen(ending, server)
  edge = new RunningEdge(ending)
  const process = await edge.start(yaml(1), '--threads', '2')
  metrics = (await process.errLine(/metrics at (http:[^"\s]+)/))[1]
  port = edge.port('public')
})

const code = (body: string): string => (JSON.parse(body) as { code: string }).code
const waiting = async (upstream: string): Promise<number> =>
  (await readMetrics(metrics)).value('sallyport_upstream_queue_length', { upstream }) ?? -1
const atPuppet = (puppet: Puppet, hits: number): Promise<boolean> =>
  eventually(`${hits} requests at ${puppet.name}`, async () => puppet.hits === hits || null)
const queued = (upstream: string, count: number): Promise<boolean> =>
  eventually(`${count} waiting for ${upstream}`, async () => (await waiting(upstream)) === count || null)

test('100 clients on two threads: never more than 7 at the endpoint, and it is 7', async () => {
  const { seven } = puppets
  seven.delayMs = 15
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask(port, '/seven')))
  assert.deepEqual(tally(answers.map(({ status }) => String(status))), { 200: 100 })
  assert.equal(seven.mostRunning, 7)
  assert.equal(seven.hits, 100)
})

test('a full queue answers 503 with Retry-After at once; the waiters get their turn in the end', async () => {
  const { small } = puppets
  small.behaviour = 'hang'
  const first = ask(port, '/small')
  await atPuppet(small, 1)
  const others = [ask(port, '/small'), ask(port, '/small')]
  await queued('small', 2)
  const before = performance.now()
  const full = await ask(port, '/small')
  assert.ok(performance.now() - before < 1_000)
  assert.deepEqual([full.status, code(full.body), full.headers['retry-after']], [503, 'upstream-queue-full', '1'])
  assert.equal((await ask(port, '/free')).status, 200)
  small.behaviour = 200
  small.release()
  const done = await Promise.all([first, ...others])
  assert.deepEqual(
    done.map(({ status }) => status),
    [200, 200, 200],
  )
  const line = await edge.line('the refusal', ({ outcome }) => outcome === 'upstream-queue-full')
  assert.deepEqual([line.status, line.upstream, line.endpoint, line.attempts], [503, 'small', null, 0])
})

test('who waits too long gets 503, and the queue is empty after it', async () => {
  const { brief } = puppets
  brief.behaviour = 'hang'
  const first = ask(port, '/brief')
  await atPuppet(brief, 1)
  const before = performance.now()
  const late = await Promise.all([ask(port, '/brief'), ask(port, '/brief')])
  const took = performance.now() - before
  for (const { status, body, headers } of late) {
    assert.deepEqual([status, code(body), headers['retry-after']], [503, 'upstream-queue-timeout', '1'])
  }
  assert.ok(took >= 290 && took < 3_000, `${took} ms`)
  assert.equal(await waiting('brief'), 0)
  brief.release()
  assert.equal((await first).status, 200)
})

test('a client that leaves the queue, or its running request, frees the place', async () => {
  const { small } = puppets
  small.behaviour = 'hang'
  const hits = small.hits
  const running = await connectTo(port)
  running.write('GET /small HTTP/1.1\r\nHost: a\r\n\r\n')
  await atPuppet(small, hits + 1)
  const leaver = await connectTo(port)
  leaver.write('GET /small HTTP/1.1\r\nHost: a\r\n\r\n')
  await queued('small', 1)
  leaver.resetAndDestroy()
  await queued('small', 0)
  // FIN is no leaving: this one has sent all it has to say, and waits.
  const quiet = await connectTo(port)
  const answer = readToEnd(quiet)
  quiet.end('GET /small HTTP/1.1\r\nHost: a\r\n\r\n')
  await queued('small', 1)
  running.resetAndDestroy()
  await atPuppet(small, hits + 2)
  small.behaviour = 200
  small.release()
  assert.match((await answer).text, /^HTTP\/1\.1 200 /)
  const gone = await edge.lines(2, 'the leavers', ({ path, outcome }) => path === '/small' && outcome === 'client-gone')
  assert.deepEqual(
    gone.map((line) => line.status),
    [null, null],
  )
})

test('a limit of 0 lets nothing pass', async () => {
  const answer = await ask(port, '/zero')
  assert.deepEqual([answer.status, code(answer.body)], [503, 'upstream-queue-full'])
  assert.equal(puppets.zero.hits, 0)
})

test('a reload that raises the limit lets waiters in at once, and one that lowers it cuts nobody', async () => {
  const { grow } = puppets
  grow.behaviour = 'hang'
  const calls = Array.from({ length: 4 }, () => ask(port, '/grow'))
  await queued('grow', 3)
  await edge.reload(yaml(3))
  await atPuppet(grow, 3)
  assert.equal(await waiting('grow'), 1)
  await edge.reload(yaml(1))
  grow.release(1)
  // Three ran, one ended: two are still more than the limit of 1.
  grow.behaviour = 200
  grow.release()
  const answers = await Promise.all(calls)
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 200],
  )
  assert.equal(await waiting('grow'), 0)
})

test('in mode tcp the limit bounds connections, the queue holds them, and what is beyond is closed', async () => {
  const at = edge.port('bytes')
  const hello = (socket: Socket): Promise<string> => askOpen(socket, 'hi', (text) => text === 'echo hi')
  const [one, two] = [await connectTo(at), await connectTo(at)]
  await Promise.all([hello(one), hello(two)])
  const third = await connectTo(at)
  const answered = hello(third)
  await queued('bytes', 1)
  const fourth = await readToEnd(await connectTo(at))
  assert.equal(fourth.text, '')
  await edge.line('the refused connection', (line) => line.protocol === 'TCP' && line.outcome === 'upstream-queue-full')
  assert.equal(atEndpoint.length, 2)
  one.end()
  assert.equal(await answered, 'echo hi')
  // A waiter that resets leaves its place to another one.
  const leaver = await connectTo(at)
  await queued('bytes', 1)
  leaver.resetAndDestroy()
  await queued('bytes', 0)
  // A waiter that nobody makes room for is closed after queueTimeout.
  const late = await connectTo(at)
  const before = performance.now()
  assert.equal((await readToEnd(late)).text, '')
  assert.ok(performance.now() - before > 1_900)
  await edge.line('the late connection', ({ outcome }) => outcome === 'upstream-queue-timeout')
  two.end()
  third.end()
  await eventually('all ended', async () => atEndpoint.length === 0 || null)
  const fresh = await connectTo(at)
  assert.equal(await hello(fresh), 'echo hi')
  fresh.destroy()
})

test('what waits while the edge stops is told so in the log', async () => {
  const { small } = puppets
  small.behaviour = 'hang'
  const hits = small.hits
  const calls = [ask(port, '/small'), ask(port, '/small')].map((call) => call.catch(() => null))
  await atPuppet(small, hits + 1)
  await queued('small', 1)
  const { process } = edge
  process.signal('SIGTERM')
  await process.errLine(/"draining"/)
  process.signal('SIGTERM')
  assert.equal(await process.exited, 1)
  await Promise.all(calls)
  const lines = edge.log().filter(({ outcome }) => outcome === 'draining')
  assert.deepEqual(
    lines.map((line) => line.path),
    ['/small', '/small'],
  )
})
