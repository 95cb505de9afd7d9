/** Ten thousand connections that do nothing, and what the edge does beside them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { test } from 'node:test'
import { eventually } from '../server-standin/process.ts'
import { ask, askMany } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { readMetrics } from '../support/read-metrics.ts'

const ending = endOfFile()
const COUNT = 10_000
const BATCH = 500
const REQUEST = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** Opens a connection and has one request answered on it. */
function served(port: number, n: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // Several addresses, since one has fewer ports than that.
    const socket = createConnection({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (n % 4)}` })
    socket.once('error', reject)
    socket.once('data', () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      socket.resume()
      resolve(socket)
    })
    socket.write(REQUEST)
  })
}

const memoryMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

test('10,000 kept connections cost little and hinder nobody; beyond the limit the oldest idle ones make room', async () => {
  const edge = new RunningEdge(ending)
  const process = await edge.start(
    `
listeners: { public: { address: '127.0.0.1:0', limits: { connections: ${COUNT} }, timeouts: { idle: 5m } } }
routes: [{ respond: { body: ok } }]
telemetry: { accessLog: off, metrics: { address: '127.0.0.1:0' } }
`,
    '--threads',
    '2',
  )
  const metrics = (await process.errLine(/metrics at (http:[^"\s]+)/))[1]
  const port = edge.port('public')
  await askMany(port, () => '/', 500, 8)
  const before = memoryMb(process.pid)
  const sockets: Socket[] = []
  for (let n = 0; n < COUNT - 50; n += BATCH) {
    const size = Math.min(BATCH, COUNT - 50 - n)
    sockets.push(...(await Promise.all(Array.from({ length: size }, (_, i) => served(port, n + i)))))
  }
  ending.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  const open = async (): Promise<number> =>
    (await readMetrics(metrics)).value('sallyport_connections_open', { listener: 'public' }) ?? -1
  assert.equal(await open(), COUNT - 50)
  const growth = memoryMb(process.pid) - before
  assert.ok(growth < (COUNT * 10) / 1024, `${growth.toFixed(0)} MB more for ${COUNT} connections`)
  const answers = await askMany(port, () => '/', 200, 8)
  assert.ok(answers.every(({ status }) => status === 200))
  // They are all still there: each hundredth is asked again.
  for (let n = 0; n < sockets.length; n += 100) {
    const answer = new Promise((resolve) => sockets[n].once('data', resolve))
    sockets[n].write(REQUEST)
    await answer
  }
  assert.equal(sockets.filter((socket) => socket.destroyed || socket.readableEnded).length, 0)
  for (let n = 0; n < 150; n++) sockets.push(await served(port, n))
  await eventually('room was made', async () => ((await open()) <= COUNT ? true : null))
  const closed = sockets.filter((socket) => socket.destroyed || socket.readableEnded).length
  assert.ok(closed >= 90 && closed <= 110, `${closed} were closed`)
  assert.equal((await ask(port, '/')).status, 200)
})
