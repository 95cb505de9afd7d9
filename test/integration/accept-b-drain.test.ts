/** The end of an edge: what SIGTERM lets finish, what the deadline cuts, and what the log says of it. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { test } from 'node:test'
import { eventually } from '../server-standin/process.ts'
import { ask } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { listen } from '../support/endpoints.ts'
import { Puppet } from '../support/puppet.ts'
import { askOpen, connectTo, readToEnd } from '../support/raw-client.ts'

const ending = endOfFile()

async function start(timeout: string): Promise<{ edge: RunningEdge; slow: Puppet }> {
  const slow = await Puppet.start(ending, 'slow')
  const queue = await Puppet.start(ending, 'queue')
  queue.behaviour = 'hang'
  slow.behaviour = 'hang'
  const streams = createServer((request, response) => {
    if (request.url === '/streams/upload') {
      request.on('data', () => uploading++)
      return
    }
    response.writeHead(200, request.url === '/streams/events' ? { 'Content-Type': 'text/event-stream' } : {})
    response.write('begun')
  })
  streams.on('upgrade', (_, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n')
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  const streamPort = await listen(ending, streams)
  const echo = createTcpServer((socket) => {
    socket.on('error', () => {})
    // More than fits into buffers, and then FIN: the edge still has it to write when the deadline comes.
    socket.once('data', (chunk) => {
      if (String(chunk) === 'much') socket.end(Buffer.alloc(16 << 20))
    })
    socket.pipe(socket)
  })
  const echoPort = await listen(ending, echo)
  const edge = new RunningEdge(ending)
  await edge.start(
    `
listeners:
  public: { address: '127.0.0.1:0' }
  bytes: { address: '127.0.0.1:0', mode: tcp, upstream: bytes }
upstreams:
  slow: { endpoints: ['${slow.url}'] }
  queue: { endpoints: ['${queue.url}'], concurrency: { limit: 1, queue: 5, queueTimeout: 5m } }
  streams: { endpoints: ['http://127.0.0.1:${streamPort}'] }
  bytes: { endpoints: ['tcp://127.0.0.1:${echoPort}'] }
routes:
  - { path: /slow, upstream: slow }
  - { path: /queue, upstream: queue }
  - { path: /streams/*, upstream: streams }
  - { path: /fast, respond: { body: fast } }
telemetry: { accessLog: { path: access.jsonl } }
drain: { timeout: ${timeout} }
`,
    '--threads',
    '2',
  )
  return { edge, slow }
}

let uploading = 0

test('at the deadline everything that still runs is cut, visibly, and each has its line with outcome draining', async () => {
  const { edge, slow } = await start('400ms')
  const port = edge.port('public')
  const open = async (
    bytes: string,
    begun: (text: string) => boolean,
  ): Promise<Promise<{ text: string; error: string | null }>[]> => {
    const socket = await connectTo(port)
    await askOpen(socket, bytes, begun)
    return [readToEnd(socket)]
  }
  const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
  const [stream] = await open(get('/streams/events'), (text) => text.includes('begun'))
  const [answer] = await open(get('/streams/half'), (text) => text.includes('begun'))
  const [tunnel] = await open(get('/streams/ws', 'Connection: Upgrade\r\nUpgrade: echo\r\n'), (text) =>
    text.endsWith('\r\n\r\n'),
  )
  const pending = await connectTo(port)
  const noAnswer = readToEnd(pending)
  pending.write(get('/slow'))
  const queued = await connectTo(port)
  queued.write(get('/queue'))
  const waits = await connectTo(port)
  const waited = readToEnd(waits)
  waits.write(get('/queue'))
  const upload = await connectTo(port)
  const sent = readToEnd(upload)
  upload.write('POST /streams/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf')
  const bytes = await connectTo(edge.port('bytes'))
  await askOpen(bytes, 'hello', (text) => text === 'hello')
  const passed = readToEnd(bytes)
  const unread = await connectTo(edge.port('bytes'))
  unread.pause().write('much')
  const lingering = await connectTo(port)
  lingering.resume()
  await eventually('all at their endpoints', async () => (slow.hits === 1 && uploading > 0 ? true : null))

  const begun = performance.now()
  edge.process.signal('SIGTERM')
  assert.equal(await edge.process.exited, 0)
  const took = performance.now() - begun
  assert.ok(took > 380 && took < 3_000, `${took} ms`)
  const rows: [string, { text: string; error: string | null }][] = [
    ['/streams/events', await stream],
    ['/streams/half', await answer],
    ['/streams/ws', await tunnel],
    ['/slow', await noAnswer],
    ['/queue', await waited],
    ['/streams/upload', await sent],
  ]
  const lines = edge.log()
  for (const [path, { text, error }] of rows) {
    const line = lines.find((one) => one.path === path)
    assert.equal(line?.outcome, 'draining', `${path}: ${JSON.stringify(line)}`)
    // Nobody can take what came for whole: a reset, or chunks without their end.
    assert.ok(error !== null || !text.endsWith('0\r\n\r\n'), path)
  }
  assert.equal(lines.filter((line) => line.path === '/queue' && line.outcome === 'draining').length, 2)
  const tcp = lines.find((line) => line.protocol === 'TCP' && line.bytesOut === 5)
  assert.deepEqual([tcp?.outcome, tcp?.bytesIn, tcp?.bytesOut], ['draining', 5, 5])
  assert.notEqual((await passed).error, null)
  assert.equal(lines.length, 9)
  assert.equal(rows.length, 6)
})

test('SIGTERM refuses new connections, tells kept ones to close, lets a slow request end, and exits 0', async () => {
  const { edge, slow } = await start('30s')
  const port = edge.port('public')
  const kept = await connectTo(port)
  await askOpen(kept, 'GET /fast HTTP/1.1\r\nHost: a\r\n\r\n', (text) => text.endsWith('fast'))
  const running = ask(port, '/slow')
  await eventually('the request', async () => slow.hits === 1 || null)
  edge.process.signal('SIGTERM')
  await eventually('no new connection', () =>
    ask(port, '/fast').then(
      () => null,
      () => true,
    ),
  )
  const last = await askOpen(kept, 'GET /fast HTTP/1.1\r\nHost: a\r\n\r\n', (text) => text.endsWith('fast'))
  assert.match(last, /\r\nConnection: close\r\n/)
  slow.release()
  const { status, headers, body } = await running
  assert.deepEqual([status, body, headers.connection], [200, 'slow', 'close'])
  assert.equal(await edge.process.exited, 0)
  // How many were let in before the address closed is not ours to say.
  const outcomes = new Set(edge.log().map((line) => line.outcome))
  assert.deepEqual([...outcomes].sort(), ['fixed-response', 'ok'])
  assert.match(edge.process.err, /"message":"drained"/)
  kept.destroy()
})
