/**
 * What the edge holds: resident memory at rest, per idle keep-alive connection, and while 1 GiB goes through each way.
 *
 *     node bench/memory.ts [--connections 10000] [--bytes 1073741824] [--write]
 *
 * One data thread, plain HTTP. The connections come from several addresses 127.0.0.x, so that ports do not run out; for
 * each of them this process and the edge need a file descriptor (`ulimit -Hn`). `--write` fills docs/performance.md.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { freePorts, Program } from './lib/processes.ts'
import { circumstances, table, writePart } from './lib/report.ts'

const { values: options } = parseArgs({
  options: {
    connections: { type: 'string', default: '10000' },
    bytes: { type: 'string', default: String(1024 ** 3) },
    settle: { type: 'string', default: '3000' },
    write: { type: 'boolean', default: false },
  },
})
const connections = Number(options.connections)
const bytes = Number(options.bytes)
/** The garbage collector and the kernel come to rest in this time. */
const settleMs = Number(options.settle)
/** Connections that are being opened at the same time. */
const OPENING = 100
const PIECE = Buffer.alloc(64 * 1024, 'sallyport')

const folder = mkdtempSync(join(tmpdir(), 'sallyport-memory-'))
const backend = createServer(serve)
backend.listen(0, '127.0.0.1')
await once(backend, 'listening')
const address = backend.address()
if (address === null || typeof address === 'string') throw new Error('no port')
const [port = 0] = await freePorts(1)
const config = join(folder, 'sallyport.yaml')
writeFileSync(
  config,
  `listeners:
  public: { address: 127.0.0.1:${port}, limits: { bodyBytes: none, connections: ${connections * 2} }, timeouts: { idle: 10m } }
upstreams:
  backend: { endpoints: ['http://127.0.0.1:${address.port}'] }
routes: [{ path: /*, upstream: backend }]
telemetry: { accessLog: { path: ${join(folder, 'access.jsonl')} } }
threads: 1
`,
)

try {
  const [rest, idle] = await withEdge(restAndIdle)
  const [upload] = await withEdge(async (edge) => [await growth(edge, sendMuch)])
  const [download] = await withEdge(async (edge) => [await growth(edge, takeMuch)])
  const size = `${(bytes / 2 ** 30).toFixed(2)} GiB`
  const text = table([
    ['what', 'measured'],
    ['at rest, one data thread, from a checkout', megabytes(rest)],
    [`one idle keep-alive connection, of ${connections}`, `${((idle ?? Number.NaN) / 1000).toFixed(1)} kB`],
    [`growth during an upload of ${size}, peak`, megabytes(upload)],
    [`growth during a download of ${size}, peak`, megabytes(download)],
  ])
  console.log(text)
  const command = `node bench/memory.ts --connections ${connections} --bytes ${bytes}`
  if (options.write) writePart('memory', `${text}\n\n${circumstances(command)}`)
} finally {
  backend.close()
  rmSync(folder, { recursive: true, force: true })
}

/** Every measurement has a process of its own: what one leaves behind must not count for the next. */
async function withEdge(measure: (edge: Program) => Promise<number[]>): Promise<number[]> {
  const program = join(import.meta.dirname, '..', 'bin', 'sallyport')
  const edge = new Program([program, 'run', '-c', config], '0')
  try {
    await edge.listening(port)
    const socket = await open('127.0.0.1')
    socket.destroy()
    await delay(settleMs)
    return await measure(edge)
  } finally {
    await edge.stop()
  }
}

async function restAndIdle(edge: Program): Promise<number[]> {
  const rest = edge.rssBytes()
  const sockets: Socket[] = []
  let next = 0
  const opener = async (): Promise<void> => {
    while (next < connections) {
      // Each source address brings its own 28,000 ports.
      sockets.push(await open(`127.0.0.${2 + (next++ % 8)}`))
    }
  }
  await Promise.all(Array.from({ length: OPENING }, opener))
  await delay(settleMs)
  const alive = sockets.filter((socket) => !socket.destroyed && socket.readyState === 'open').length
  if (alive !== connections) throw new Error(`only ${alive} of ${connections} connections are still open`)
  const idle = (edge.rssBytes() - rest) / connections
  for (const socket of sockets) socket.destroy()
  return [rest, idle]
}

/** Opens a connection and has one request answered on it. */
async function open(localAddress: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  await once(socket, 'connect')
  socket.write('GET /small HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n')
  const [data] = await once(socket, 'data')
  if (!String(data).startsWith('HTTP/1.1 200')) throw new Error(`answered ${String(data).slice(0, 40)}`)
  socket.on('error', () => {})
  return socket
}

/** Peak of the resident memory while `work` runs, above what it was before. */
async function growth(edge: Program, work: () => Promise<void>): Promise<number> {
  const before = edge.rssBytes()
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, edge.rssBytes())
  }, 100)
  await work()
  clearInterval(timer)
  return Math.max(peak, edge.rssBytes()) - before
}

async function sendMuch(): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' })
  const answered = once(socket, 'data')
  socket.write(`POST /upload HTTP/1.1\r\nHost: bench.test\r\nContent-Length: ${bytes}\r\n\r\n`)
  await pour(socket)
  const [data] = await answered
  socket.destroy()
  if (!String(data).startsWith('HTTP/1.1 200')) throw new Error(`upload answered ${String(data).slice(0, 40)}`)
}

async function takeMuch(): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.write('GET /download HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n')
  let taken = 0
  socket.on('data', (data: Buffer) => {
    taken += data.length
  })
  await once(socket, 'end')
  socket.destroy()
  if (taken < bytes) throw new Error(`download ended after ${taken} bytes`)
}

/** Writes `bytes` bytes at the pace of the reader. */
async function pour(socket: Socket): Promise<void> {
  for (let left = bytes; left > 0 && !socket.destroyed; left -= PIECE.length) {
    if (!socket.write(left < PIECE.length ? PIECE.subarray(0, left) : PIECE)) await once(socket, 'drain')
  }
}

/** The endpoint: a short answer, an upload that is counted, a download. */
function serve(socket: Socket): void {
  let head = ''
  let expected = 0
  socket.on('error', () => {})
  socket.on('data', (data: Buffer) => {
    if (expected > 0) {
      expected -= data.length
      if (expected <= 0) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
      return
    }
    head += data.latin1Slice()
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    const rest = head.length - end - 4
    const [, target] = head.split(' ')
    head = ''
    if (target === '/upload') expected = bytes - rest
    else if (target === '/download') void answerMuch(socket)
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
}

async function answerMuch(socket: Socket): Promise<void> {
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`)
  await pour(socket)
}

function megabytes(value: number | undefined): string {
  return `${((value ?? Number.NaN) / 1e6).toFixed(1)} MB`
}
