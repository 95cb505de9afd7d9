/** Listeners on unix sockets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, lstatSync, statSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { eventually } from '../server-standin/process.ts'
import { needs } from '../setup/tools.ts'
import { ACCESS_LOG, RunningEdge } from '../support/edge-process.ts'
import { type EchoEndpoint, echoEndpoint } from '../support/endpoints.ts'
import { v1, v2 } from '../support/proxy-headers.ts'
import { askOpen, readToEnd } from '../support/raw-client.ts'
import { curl, runCommand } from '../support/run-command.ts'

const CURL = needs('curl')

interface Served {
  readonly edge: RunningEdge
  readonly path: string
  readonly app: EchoEndpoint
  readonly yaml: string
}

async function serve(t: TestContext, more = '', start = true): Promise<Served> {
  const edge = new RunningEdge(t)
  const app = await echoEndpoint(t)
  const path = join(edge.folder, 'edge.sock')
  const yaml = `
listeners: { public: { address: 'unix:${path}'${more} } }
upstreams: { app: { endpoints: ['${app.url}'] } }
routes:
  - { path: /*, upstream: app }
${ACCESS_LOG}
`
  if (start) await edge.start(yaml, '--threads', '2')
  return { edge, path, app, yaml }
}

async function connectUnix(path: string): Promise<Socket> {
  const socket = createConnection({ path, allowHalfOpen: true })
  await once(socket, 'connect')
  socket.on('error', () => {})
  return socket
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`

async function ask(socketPath: string, path: string, prefix: Buffer = Buffer.alloc(0)): Promise<string> {
  const socket = await connectUnix(socketPath)
  const answer = readToEnd(socket)
  socket.write(Buffer.concat([prefix, Buffer.from(get(path))]))
  return (await answer).text
}

test('curl is served through the socket, and the line says so', CURL, async (t) => {
  const { edge, path, app } = await serve(t)
  assert.equal(edge.process.url('public'), `unix:${path}`)
  assert.equal(lstatSync(path).isSocket(), true)
  assert.equal((statSync(path).mode & 0o777).toString(8), '660')
  for (let i = 0; i < 3; i++) {
    const { out, err } = await curl('--unix-socket', path, '-H', 'X-Forwarded-For: 203.0.113.9', 'http://a.test/hello')
    assert.match(out, /"url":"\/hello"/, err)
    assert.match(out, /\n200$/)
  }
  const line = await edge.line('/hello', (one) => one.path === '/hello')
  assert.equal(line.client, 'unix')
  const { headers } = app.seen[0]!
  assert.doesNotMatch(JSON.stringify(headers), /203\.0\.113/)
  assert.equal(headers.forwarded, 'for=unknown;host=a.test;proto=http')
  // No address is known, and none is made up.
  assert.equal(headers['x-forwarded-for'], 'unknown')
})

test('a PROXY header is demanded on the socket, and names the client', CURL, async (t) => {
  const { edge, path, app } = await serve(t, ', proxyProtocol: { from: [127.0.0.1] }')
  for (const header of [v1(), v2()]) assert.match(await ask(path, '/named', header), /^HTTP\/1\.1 200 /)
  assert.equal(await ask(path, '/nameless'), '')
  assert.deepEqual(
    app.seen.map(({ url, headers }) => [url, headers['x-forwarded-for']]),
    [
      ['/named', '203.0.113.9'],
      ['/named', '203.0.113.9'],
    ],
  )
  assert.equal((await edge.line('/named', (one) => one.path === '/named')).client, '203.0.113.9')
})

test('the socket that a killed edge left behind is replaced', CURL, async (t) => {
  const { edge, path, yaml } = await serve(t)
  await edge.process.kill()
  assert.equal(existsSync(path), true)
  await edge.start(yaml)
  assert.match(await ask(path, '/again'), /^HTTP\/1\.1 200 /)
})

test('a socket somebody listens on, and a file that is none, are left alone', async (t) => {
  const { edge, path, yaml } = await serve(t, '', false)
  const other = createServer((socket) => {
    // The edge looks whether somebody answers, and goes.
    socket.on('error', () => {})
    socket.end('other')
  }).listen(path)
  t.after(() => other.close())
  await once(other, 'listening')
  await assert.rejects(edge.start(yaml), /in use by another process/)
  const socket = await connectUnix(path)
  assert.equal((await readToEnd(socket)).text, 'other')
  other.close()
  await once(other, 'close')
  edge.write('edge.sock', 'a file')
  await assert.rejects(edge.start(yaml), /is not a socket/)
  assert.equal(statSync(path).isFile(), true)
})

test('SIGTERM removes the socket after the last answer', async (t) => {
  const { edge, path } = await serve(t)
  const socket = await connectUnix(path)
  const whole = (text: string): boolean => text.includes('"url":"/one"')
  await askOpen(socket, 'GET /one HTTP/1.1\r\nHost: a.test\r\n\r\n', whole)
  edge.process.signal('SIGTERM')
  assert.equal(await edge.process.exited, 0)
  assert.equal(existsSync(path), false)
})

test('a reload keeps the socket and its connections; another path moves it', async (t) => {
  const { edge, path, yaml } = await serve(t)
  const socket = await connectUnix(path)
  const answered = (text: string): boolean => /\r\n\r\n.*\}$/s.test(text)
  await askOpen(socket, 'GET /one HTTP/1.1\r\nHost: a.test\r\n\r\n', answered)
  const { ino } = statSync(path)
  await edge.reload(
    yaml.replace('  - { path: /*, upstream: app }', '  - { path: /*, respond: { body: "{reloaded}" } }'),
  )
  assert.equal(statSync(path).ino, ino)
  assert.match(await askOpen(socket, 'GET /two HTTP/1.1\r\nHost: a.test\r\n\r\n', answered), /\{reloaded\}$/)
  assert.match(await ask(path, '/three'), /\{reloaded\}$/)
  const moved = join(edge.folder, 'moved.sock')
  await edge.reload(yaml.replace('edge.sock', 'moved.sock'))
  assert.match(await ask(moved, '/four'), /"url":"\/four"/)
  await eventually('the old socket is gone', async () => (existsSync(path) ? null : true))
  assert.match(
    await askOpen(socket, 'GET /five HTTP/1.1\r\nHost: a.test\r\n\r\n', answered),
    /Connection: close.*"url":"\/five"/is,
  )
})

test('a folder that is not there is named at the start', async (t) => {
  const { edge, yaml } = await serve(t, '', false)
  await assert.rejects(
    edge.start(yaml.replace('edge.sock', 'nowhere/edge.sock')),
    /listeners\.public\.address: cannot listen/,
  )
})

test('TLS and tcp mode work on sockets too', needs('openssl'), async (t) => {
  const edge = new RunningEdge(t)
  const app = await echoEndpoint(t)
  const ca = new TestCa('Edge CA')
  t.after(() => ca.remove())
  edge.writePair('edge', ca.issue('/CN=edge', 'DNS:a.test'))
  await edge.start(`
listeners:
  balancer: { address: 'unix:${edge.folder}/tcp.sock', mode: tcp, upstream: web }
  secure: { address: 'unix:tls.sock', tls: { certificates: [{ certificate: edge.pem, key: edge-key.pem }] } }
upstreams:
  web: { endpoints: ['tcp://127.0.0.1:${app.port}'] }
  app: { endpoints: ['${app.url}'] }
routes: [{ path: /*, upstream: app }]
${ACCESS_LOG}
`)
  assert.match(await ask(`${edge.folder}/tcp.sock`, '/through'), /"url":"\/through"/)
  assert.equal((await edge.line('the connection', ({ protocol }) => protocol === 'TCP')).client, 'unix')
  const { out } = await runCommand(
    'openssl',
    ['s_client', '-unix', join(edge.folder, 'tls.sock'), '-ign_eof'],
    get('/tls'),
  )
  assert.match(out, /subject=CN = edge\n/)
  assert.match(out, /"x-forwarded-proto":"https"/)
})
