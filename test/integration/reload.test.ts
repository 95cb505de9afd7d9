import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer, get, request } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { afterEach, beforeEach, test } from 'node:test'
import { findEdges, requestReload } from '../../src/server/control-client.ts'
import { eventually, fetchText } from '../server-standin/process.ts'
import { EdgeFolder, freePort } from '../server-standin/real-edge.ts'

let edges: EdgeFolder

beforeEach(() => {
  edges = new EdgeFolder()
})

afterEach(() => edges.close())

const fixed = (body: string, address = '127.0.0.1:0'): string => `
listeners: { public: { address: '${address}' } }
routes: [{ path: '/*', respond: { status: 200, body: '${body}' } }]
telemetry: { accessLog: off }
`

const forward = (url: string, extra = ''): string => `
listeners: { public: { address: '127.0.0.1:0' } }
upstreams: { app: { endpoints: ['${url}'] ${extra} } }
routes: [{ path: '/*', upstream: app }]
telemetry: { accessLog: off }
`

test('a reload changes what is answered, on new connections and on open ones', async () => {
  edges.write(fixed('one'))
  const edge = await edges.start('--threads', '2')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const keptAlive = (): Promise<string> =>
    new Promise((resolve, reject) => {
      get(edge.url('public'), { agent }, (response) => {
        let body = ''
        response.on('data', (chunk) => {
          body += chunk
        })
        response.on('end', () => resolve(body))
      }).on('error', reject)
    })
  assert.equal(await keptAlive(), 'one')
  edges.write(fixed('two'))
  assert.deepEqual(await requestReload(edges.file), { ok: true, lines: ['reloaded: generation 2'] })
  assert.equal(await keptAlive(), 'two')
  assert.equal((await fetchText(edge.url('public'))).body, 'two')
  agent.destroy()
})

test('a file with mistakes changes nothing, and all of them are reported with line and column', async () => {
  edges.write(fixed('one'))
  const edge = await edges.start()
  edges.write('listeners: { public: { address: 127.0.0.1:0 } }\nnonsense: 1\nroutes: [{ path: no-slash }]\n')
  const { ok, lines } = await requestReload(edges.file)
  assert.equal(ok, false)
  assert.ok(lines.length >= 2, lines.join('\n'))
  for (const line of lines) assert.match(line, /sallyport\.yaml:\d+:\d+ /)
  assert.equal((await fetchText(edge.url('public'))).body, 'one')
  await edge.errLine(/reload-refused/)
})

test('a listener that is gone closes its port, and its idle connections with their next response', async () => {
  const [first, second] = [await freePort(), await freePort()]
  edges.write(fixed('one', `127.0.0.1:${first}`))
  await edges.start()
  const socket = connect(first, '127.0.0.1')
  socket.setEncoding('utf8')
  await once(socket, 'connect')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.doesNotMatch(String((await once(socket, 'data'))[0]), /Connection: close/i)
  edges.write(fixed('two', `127.0.0.1:${second}`))
  assert.equal((await requestReload(edges.file)).ok, true)
  assert.equal((await fetchText(`http://127.0.0.1:${second}`)).body, 'two')
  await assert.rejects(fetchText(`http://127.0.0.1:${first}`), /ECONNREFUSED/)
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(String((await once(socket, 'data'))[0]), /Connection: close/i)
  socket.destroy()
})

test('a port that another process has fails the reload, and the old configuration goes on', async () => {
  const taken = createTcpServer()
  taken.listen({ port: 0, host: '127.0.0.1', reusePort: true })
  await once(taken, 'listening')
  edges.write(fixed('one'))
  const edge = await edges.start('--threads', '2')
  edges.write(fixed('two', `127.0.0.1:${(taken.address() as AddressInfo).port}`))
  const { ok, lines } = await requestReload(edges.file)
  taken.close()
  assert.equal(ok, false)
  assert.match(lines[0], /listeners\.public\.address: .*another process/)
  assert.equal((await fetchText(edge.url('public'))).body, 'one')
})

test('a listener that only changes its name keeps its port open', async () => {
  const port = await freePort()
  edges.write(fixed('one', `127.0.0.1:${port}`))
  await edges.start()
  edges.write(fixed('two', `127.0.0.1:${port}`).replace('public', 'renamed'))
  assert.deepEqual(await requestReload(edges.file), { ok: true, lines: ['reloaded: generation 2'] })
  assert.equal((await fetchText(`http://127.0.0.1:${port}`)).body, 'two')
  const [found] = await findEdges(edges.file)
  assert.equal(found.status.listeners[0].name, 'renamed')
})

test('requests that run over a reload end with the endpoint they began with', async () => {
  const releases: (() => void)[] = []
  const first = await edges.endpoint((_, response) => {
    response.write('first ')
    releases.push(() => response.end('endpoint'))
  })
  const second = await edges.endpoint((_, response) => response.end('second endpoint'))
  edges.write(forward(first))
  const edge = await edges.start('--threads', '2')
  const running = fetchText(edge.url('public'))
  await eventually('the request at its endpoint', async () => releases.length === 1 || null)
  edges.write(forward(second))
  assert.equal((await requestReload(edges.file)).ok, true)
  assert.equal((await fetchText(edge.url('public'))).body, 'second endpoint')
  releases[0]()
  assert.equal((await running).body, 'first endpoint')
})

test('reloads under load lose no request', async () => {
  const first = await edges.endpoint((_, response) => response.end('ok'))
  const second = await edges.endpoint((_, response) => response.end('ok'))
  edges.write(forward(first))
  const edge = await edges.start('--threads', '2')
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  let stop = false
  let answered = 0
  const failures: string[] = []
  const client = async (): Promise<void> => {
    while (!stop) {
      const result = await new Promise<string>((resolve) => {
        const sent = request(edge.url('public'), { agent, method: 'POST' }, (response) => {
          response.resume()
          response.on('end', () => resolve(response.statusCode === 200 ? 'ok' : `status ${response.statusCode}`))
        })
        sent.on('error', (error) => resolve(error.message))
        sent.end('body')
      })
      if (result === 'ok') answered++
      else failures.push(result)
    }
  }
  const clients = Array.from({ length: 8 }, client)
  for (let i = 0; i < 8; i++) {
    const before = answered
    await eventually('requests between reloads', async () => answered > before + 20 || null)
    edges.write(i % 2 === 0 ? forward(second, ', retry: {}') : forward(first))
    assert.equal((await requestReload(edges.file)).ok, true)
  }
  stop = true
  await Promise.all(clients)
  agent.destroy()
  assert.deepEqual(failures, [])
  assert.ok(answered > 160, `${answered} requests`)
})

test('a WebSocket tunnel goes on over a reload', async () => {
  const server = createServer()
  server.on('upgrade', (_, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n')
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  edges.write(forward(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
  const edge = await edges.start()
  const { port } = new URL(edge.url('public'))
  const socket = connect(Number(port), '127.0.0.1')
  socket.setEncoding('utf8')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 101 /)
  edges.write(fixed('two'))
  assert.equal((await requestReload(edges.file)).ok, true)
  assert.equal((await fetchText(edge.url('public'))).body, 'two')
  socket.write('still here')
  assert.equal(String((await once(socket, 'data'))[0]), 'still here')
  socket.destroy()
  server.close()
})
