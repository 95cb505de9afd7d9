/** A data thread of a real edge dies: what the others do, and what becomes of what it held. */
import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { findEdges } from '../../src/server/control-client.ts'
import { eventually } from '../server-standin/process.ts'
import { type Answer, ask, tally } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { rawEndpoint } from '../support/endpoints.ts'
import { Puppet } from '../support/puppet.ts'
import { readToEnd } from '../support/raw-client.ts'

const ending = endOfFile()
const LIMIT = 4
let edge: RunningEdge
let port = 0
let held: Puppet
let quick: Puppet

before(async () => {
  held = await Puppet.start(ending, 'held')
  quick = await Puppet.start(ending, 'quick')
  // Begins an answer of unknown length and breaks it off.
  const broken = await rawEndpoint(ending, ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n', () => socket.resetAndDestroy())
  })
  edge = new RunningEdge(ending)
  const ca = new TestCa('test')
  ending.after(() => ca.remove())
  edge.writePair('edge', ca.issue('/CN=localhost', 'DNS:localhost'))
  edge.env = {
    SALLYPORT_TEST_KILLER: edge.folder,
    NODE_OPTIONS: `--import=${new URL('../support/thread-killer.ts', import.meta.url).href}`,
  }
  await edge.start(
    `
listeners:
  public: { address: '127.0.0.1:0' }
  secure: { address: '127.0.0.1:0', tls: { certificates: [{ certificate: edge.pem, key: edge-key.pem }] } }
upstreams:
  held: { endpoints: ['${held.url}'], ejection: off, concurrency: { limit: ${LIMIT}, queue: 100, queueTimeout: 30s } }
  quick: { endpoints: ['${quick.url}'] }
  broken: { endpoints: ['http://127.0.0.1:${broken.port}'], ejection: off }
routes:
  - { path: /held, upstream: held }
  - { path: /quick, upstream: quick }
  - { path: /broken, upstream: broken }
telemetry: { accessLog: { path: access.jsonl } }
`,
    '--threads',
    '2',
  )
  port = edge.port('public')
})

/** Ends the thread in a slot; resolves when its socket has closed. */
async function kill(slot: number, way: 'throw' | 'reject' | 'exit'): Promise<void> {
  const name = await eventually('the socket of the thread', async () => {
    return readdirSync(edge.folder).find((file) => file.startsWith(`slot-${slot}.`)) ?? null
  })
  const path = join(edge.folder, name)
  const socket = connect(path)
  socket.on('error', () => {})
  socket.write(way)
  await new Promise((resolve) => socket.on('close', resolve))
  rmSync(path, { force: true })
}

const connections = async (): Promise<number[]> => {
  const [found] = await findEdges(edge.file)
  return found.status.threads.map((thread) => thread.connections)
}

/** The n-th line of the process log with this event; when it was written, in ms since 1970. */
const eventTime = async (event: string, n: number): Promise<number> => {
  const line = await edge.process.until(`${n} times ${event}`, () => {
    const lines = edge.process.err.split('\n').filter((text) => text.includes(`"event":"${event}"`))
    return lines[n - 1]
  })
  return Date.parse((JSON.parse(line) as { time: string }).time)
}

test('a dead thread frees its share at once, which wakes waiters of another thread; the others go on', async () => {
  held.behaviour = 'hang'
  type Call = { slot: number; result: Promise<Answer | string> }
  const calls: Call[] = []
  const before = await connections()
  const counts = [...before]
  const bySlot = (slot: number): Call[] => calls.filter((call) => call.slot === slot)
  const runningOn = (slot: number): number => calls.slice(0, LIMIT).filter((call) => call.slot === slot).length
  // The kernel gives each connection to some thread: until both are as wanted.
  for (;;) {
    const result = ask(port, '/held', { timeoutMs: 40_000 }).catch((error: Error) => error.message)
    const now = await eventually('the connection in its thread', async () => {
      const next = await connections()
      return next[0] + next[1] > counts[0] + counts[1] ? next : null
    })
    calls.push({ slot: now[0] > counts[0] ? 0 : 1, result })
    counts.splice(0, 2, ...now)
    if (calls.length <= LIMIT) continue
    const victim = calls[0].slot
    const waiters = bySlot(1 - victim).length - runningOn(1 - victim)
    if (waiters > runningOn(victim)) break
    assert.ok(calls.length < 80, 'one thread gets no connections')
  }
  await eventually('the limit is used', async () => (held.hits === LIMIT ? true : null))
  const victim = calls[0].slot
  const freed = runningOn(victim)
  const killed = performance.now()
  await kill(victim, 'throw')
  await eventually('the freed slots are used', async () => (held.hits === LIMIT + freed ? true : null))
  assert.ok(performance.now() - killed < 1_000, `${performance.now() - killed} ms`)
  const lost = await Promise.all(bySlot(victim).map((call) => call.result))
  assert.ok(lost.every((result) => typeof result === 'string'))
  const [died, replaced] = [await eventTime('thread-died', 1), await eventTime('thread-replaced', 1)]
  assert.ok(replaced - died < 1_000, `replaced after ${replaced - died} ms`)
  // Everybody on the thread that lives is served, those that ran over the death and those that waited.
  held.behaviour = 200
  held.release()
  const rest = await Promise.all(bySlot(1 - victim).map((call) => call.result))
  const outcomes = tally(rest.map((result) => (typeof result === 'string' ? result : String(result.status))))
  assert.deepEqual(outcomes, { 200: rest.length })
})

test('after a death the limit is as exact as before, and both threads serve', async () => {
  held.delayMs = 10
  held.mostRunning = 0
  const answers = await Promise.all(Array.from({ length: 60 }, () => ask(port, '/held')))
  assert.deepEqual(tally(answers.map(({ status }) => String(status))), { 200: 60 })
  assert.equal(held.mostRunning, LIMIT)
  held.delayMs = 0
  const sockets = Array.from({ length: 40 }, () => connect(port, '127.0.0.1'))
  await eventually('connections on both', async () => ((await connections()).every((count) => count > 3) ? true : null))
  for (const socket of sockets) socket.destroy()
})

test('however a thread dies, it is replaced within a second and the other serves meanwhile', async () => {
  const ways = ['throw', 'reject', 'exit'] as const
  let stop = false
  const results: string[] = []
  const client = async (): Promise<void> => {
    while (!stop) {
      results.push(
        await ask(port, '/quick').then(
          (answer) => String(answer.status),
          () => 'broken',
        ),
      )
    }
  }
  const clients = [client(), client()]
  for (const [n, way] of ways.entries()) {
    const before = results.length
    await kill(n % 2, way)
    const [died, replaced] = [await eventTime('thread-died', n + 2), await eventTime('thread-replaced', n + 2)]
    assert.ok(replaced - died < 1_000, `${way}: replaced after ${replaced - died} ms`)
    assert.ok(results.length > before, `${way}: nothing was served`)
  }
  stop = true
  await Promise.all(clients)
  const counts = tally(results)
  assert.deepEqual(
    Object.keys(counts).filter((key) => key !== '200' && key !== 'broken'),
    [],
  )
  // Only what was on the dying thread is lost: at most what two clients had under way.
  assert.ok((counts.broken ?? 0) <= 2 * ways.length, JSON.stringify(counts))
  assert.equal(ways.length, 3)
})

test('an answer that breaks off over TLS ends its connection, not the thread', async () => {
  const died = edge.process.err.split('thread-died').length
  for (const version of ['1.0', '1.1']) {
    const socket = connectTls({ port: edge.port('secure'), host: '127.0.0.1', rejectUnauthorized: false })
    const answer = readToEnd(socket)
    socket.write(`GET /broken HTTP/${version}\r\nHost: a.test\r\n\r\n`)
    assert.match((await answer).text, /^HTTP\/1\.1 200 [\s\S]*part/, version)
  }
  await edge.lines(2, 'the broken answers', (line) => line.path === '/broken' && line.outcome === 'upstream-reset')
  assert.equal((await ask(port, '/quick')).status, 200)
  assert.equal(edge.process.err.split('thread-died').length, died, edge.process.err)
})
