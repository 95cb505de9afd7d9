import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { findEdges, requestReload } from '../../src/server/control-client.ts'
import { type EdgeProcess, eventually, fetchText } from '../server-standin/process.ts'
import { EdgeFolder } from '../server-standin/real-edge.ts'

let edges: EdgeFolder
/** Ends the oldest request that waits at the endpoint. */
let waiting: (() => void)[] = []

beforeEach(() => {
  edges = new EdgeFolder()
  waiting = []
})

afterEach(() => edges.close())

async function start(drain = '30s'): Promise<EdgeProcess> {
  const url = await edges.endpoint((request, response) => {
    if (request.url !== '/slow') return void response.end('fast')
    response.write('slow ')
    waiting.push(() => response.end('done'))
  })
  edges.write(`
listeners: { public: { address: '127.0.0.1:0' } }
upstreams: { app: { endpoints: ['${url}'] } }
routes: [{ path: '/*', upstream: app }]
telemetry: { accessLog: { path: access.jsonl } }
drain: { timeout: ${drain} }
`)
  return edges.start('--threads', '2')
}

const slow = async (edge: EdgeProcess): Promise<Promise<{ readonly body: string }>[]> => {
  const running = [fetchText(`${edge.url('public')}/slow`)]
  running[0].catch(() => {})
  await eventually('the slow request at its endpoint', async () => waiting.length === 1 || null)
  return running
}

const refused = (edge: EdgeProcess): Promise<boolean> =>
  eventually('a refused connection', () =>
    fetchText(edge.url('public')).then(
      () => null,
      () => true,
    ),
  )

test('SIGTERM finishes a slow request, logs it, and exits 0', async () => {
  const edge = await start()
  const [running] = await slow(edge)
  edge.signal('SIGTERM')
  await refused(edge)
  waiting[0]()
  assert.equal((await running).body, 'slow done')
  assert.equal(await edge.exited, 0)
  const lines = readFileSync(join(edges.folder, 'access.jsonl'), 'utf8').trim().split('\n')
  assert.ok(lines.some((line) => JSON.parse(line).path === '/slow'))
  assert.equal(existsSync(join(edges.folder, `sallyport.db.${edge.pid}.sock`)), false)
})

test('SIGINT drains as well', async () => {
  const edge = await start()
  edge.signal('SIGINT')
  assert.equal(await edge.exited, 0)
})

test('a request that comes on a kept connection during the drain is answered with Connection: close', async () => {
  const edge = await start()
  const [running] = await slow(edge)
  const socket = connect(Number(new URL(edge.url('public')).port), '127.0.0.1')
  socket.setEncoding('utf8')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.doesNotMatch(String((await once(socket, 'data'))[0]), /Connection: close/i)
  edge.signal('SIGTERM')
  await edge.errLine(/"draining"/)
  await refused(edge)
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(String((await once(socket, 'data'))[0]), /Connection: close/i)
  waiting[0]()
  await running
  socket.destroy()
  assert.equal(await edge.exited, 0)
})

test('idle connections do not hold the drain up', async () => {
  const edge = await start()
  const socket = connect(Number(new URL(edge.url('public')).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.resume()
  await fetchText(edge.url('public'))
  const before = performance.now()
  edge.signal('SIGTERM')
  assert.equal(await edge.exited, 0)
  assert.ok(performance.now() - before < 5_000)
  socket.destroy()
})

test('after the deadline what still runs is cut, and the exit is 0', async () => {
  const edge = await start('300ms')
  const [running] = await slow(edge)
  edge.signal('SIGTERM')
  await assert.rejects(running)
  assert.equal(await edge.exited, 0)
  assert.match(edge.err, /1 connections were cut/)
})

test('a second SIGTERM ends at once with 1', async () => {
  const edge = await start()
  const [running] = await slow(edge)
  edge.signal('SIGTERM')
  await edge.errLine(/"draining"/)
  edge.signal('SIGTERM')
  assert.equal(await edge.exited, 1)
  await assert.rejects(running)
})

test('a reload during a drain is refused', async () => {
  const edge = await start()
  const [running] = await slow(edge)
  edge.signal('SIGTERM')
  await edge.errLine(/"draining"/)
  assert.deepEqual(await requestReload(edges.file), { ok: false, lines: ['the edge is draining'] })
  waiting[0]()
  await running
  assert.equal(await edge.exited, 0)
})

test('after kill -9 the next start and the client get along with the socket that is left', async () => {
  const killed = await start()
  const left = join(edges.folder, `sallyport.db.${killed.pid}.sock`)
  await killed.kill()
  assert.equal(existsSync(left), true)
  assert.equal((await requestReload(edges.file)).ok, false)
  assert.equal(existsSync(left), false)
  const next = await start()
  assert.equal((await findEdges(edges.file))[0].status.pid, next.pid)
})
