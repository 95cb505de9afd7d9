/** The edge among programs we did not write: curl in front, HAProxy before it, nginx behind it, openssl for certificates. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { needs, toolPath } from '../setup/tools.ts'
import { Edge } from './harness/edge.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'sallyport-interop-'))
const children: ChildProcess[] = []
const without = needs('nginx', 'haproxy', 'curl', 'openssl')
const BIG = Buffer.alloc(5_000_000, 'the quick brown fox ')
let edge: Edge
let haproxyPort = 0

before(async () => {
  if (without.skip !== false) return
  // nginx started by root reads and writes files as another user.
  chmodSync(folder, 0o755)
  const nginxPort = await freePort()
  haproxyPort = await freePort()
  const edgePort = await freePort()
  makeCertificate()
  mkdirSync(join(folder, 'files'), { mode: 0o755 })
  mkdirSync(join(folder, 'upload'))
  chmodSync(join(folder, 'upload'), 0o777)
  writeFileSync(join(folder, 'files', 'big.bin'), BIG)
  writeFileSync(join(folder, 'nginx.conf'), nginxConfig(nginxPort))
  writeFileSync(join(folder, 'haproxy.cfg'), haproxyConfig(haproxyPort, edgePort))
  start(toolPath('nginx'), ['-c', join(folder, 'nginx.conf')])
  await listening(nginxPort)
  edge = await Edge.start(edgeConfig(edgePort, nginxPort))
  start(toolPath('haproxy'), ['-db', '-f', join(folder, 'haproxy.cfg')])
  await listening(haproxyPort)
})

after(async () => {
  await edge?.stop()
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
  rmSync(folder, { recursive: true, force: true })
})

test('nginx sees the address that HAProxy told the edge by the PROXY protocol', without, async () => {
  const seen = await curl('--interface', '127.0.0.9', `http://127.0.0.1:${haproxyPort}/echo?a=1`)
  assert.match(seen, /^for=127\.0\.0\.9 proto=http host=127\.0\.0\.1:\d+ uri=\/echo\?a=1 /)
})

test('a client that claims to be somebody else in a header is not believed', without, async () => {
  const claims = ['X-Forwarded-For: 6.6.6.6', 'X-Real-IP: 6.6.6.6', 'Forwarded: for=6.6.6.6'].flatMap((line) => [
    '-H',
    line,
  ])
  const seen = await curl(...claims, '--interface', '127.0.0.9', `http://127.0.0.1:${haproxyPort}/echo`)
  assert.match(seen, /^for=127\.0\.0\.9 /)
  assert.doesNotMatch(seen, /6\.6\.6\.6/)
})

test('somebody who is not asked for a PROXY header gets nowhere with one', without, async () => {
  const answer = await curl('--haproxy-protocol', `http://127.0.0.1:${edge.port('public')}/echo`).catch(() => 'refused')
  assert.doesNotMatch(answer, /^for=/)
})

test('curl checks our certificate, and nginx learns that it was https', without, async () => {
  const seen = await curl('--cacert', join(folder, 'edge.pem'), `https://localhost:${edge.port('tls')}/echo`)
  assert.match(seen, /proto=https/)
})

test('a file of nginx arrives whole, over plain and TLS', without, async () => {
  const sum = createHash('sha256').update(BIG).digest('hex')
  for (const url of [`http://127.0.0.1:${edge.port('public')}`, `https://localhost:${edge.port('tls')}`]) {
    const out = join(folder, 'out.bin')
    await curl('--cacert', join(folder, 'edge.pem'), '-o', out, `${url}/files/big.bin`)
    assert.equal(createHash('sha256').update(readFileSync(out)).digest('hex'), sum, url)
  }
})

test('a range, a validator and a HEAD mean the same through the edge', without, async () => {
  const url = `http://127.0.0.1:${edge.port('public')}/files/big.bin`
  assert.equal(await curl('-r', '4-8', url), 'quick')
  const head = await curl('-I', url)
  assert.match(head, /^HTTP\/1\.1 200 /)
  assert.match(head, /^content-length: 5000000\r$/im)
  const tag = /^etag: (.*)\r$/im.exec(head)?.[1] ?? ''
  assert.match(await curl('-i', '-H', `If-None-Match: ${tag}`, url), /^HTTP\/1\.1 304 /)
})

test('an upload arrives whole: with a length, in chunks, and after waiting for a 100', without, async () => {
  const file = join(folder, 'files', 'big.bin')
  const url = `http://127.0.0.1:${edge.port('public')}/upload`
  const ways = { length: [], chunks: ['-H', 'Transfer-Encoding: chunked'], expect: ['-H', 'Expect: 100-continue'] }
  for (const [way, headers] of Object.entries(ways)) {
    const answer = await curl(...headers, '-T', file, '-w', '%{http_code}', `${url}/${way}.bin`)
    assert.match(answer, /20[14]$/, way)
    assert.ok(readFileSync(join(folder, 'upload', `${way}.bin`)).equals(BIG), way)
  }
})

test('an HTTP/1.0 client is served, with and without keep-alive', without, async () => {
  const url = `http://127.0.0.1:${edge.port('public')}/echo`
  assert.match(await curl('--http1.0', url), /^for=127\.0\.0\.1 /)
  assert.match(await curl('--http1.0', '-H', 'Connection: keep-alive', url, url), /^for=.*\nfor=.*\n$/)
})

test('several requests go over one connection', without, async () => {
  const url = `http://127.0.0.1:${edge.port('public')}/echo`
  const connects = await curl(
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{num_connects} ',
    url,
    '-o',
    '/dev/null',
    url,
    '-o',
    '/dev/null',
    url,
  )
  assert.equal(connects.trim(), '1 0 0')
})

function curl(...args: string[]): Promise<string> {
  return run(toolPath('curl'), ['-sS', '--noproxy', '*', '--max-time', '20', ...args]).then(({ stdout }) => stdout)
}

function start(program: string, args: readonly string[]): void {
  children.push(spawn(program, args, { stdio: 'ignore' }))
}

function edgeConfig(port: number, nginxPort: number): string {
  return `
listeners:
  public: { address: 127.0.0.1:0 }
  behind: { address: 127.0.0.1:${port}, proxyProtocol: { from: [127.0.0.1/32] } }
  tls:
    address: 127.0.0.1:0
    tls: { certificates: [{ certificate: ${folder}/edge.pem, key: ${folder}/edge-key.pem }] }
upstreams:
  files: { endpoints: ['http://127.0.0.1:${nginxPort}'] }
routes: [{ path: /*, upstream: files }]
telemetry: { accessLog: off }
threads: 1
`
}

function nginxConfig(port: number): string {
  return `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log crit;
events { worker_connections 256; }
http {
  access_log off; client_max_body_size 0; default_type application/octet-stream;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port};
    location /files/ { root ${folder}; }
    location /upload/ { root ${folder}; dav_methods PUT; create_full_put_path on; dav_access user:rw group:r all:r; }
    location / {
      default_type text/plain;
      return 200 "for=$http_x_forwarded_for proto=$http_x_forwarded_proto host=$http_host uri=$request_uri real=$http_x_real_ip forwarded=$http_forwarded\\n";
    }
  }
}
`
}

function haproxyConfig(port: number, edgePort: number): string {
  return `defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:${port}
  default_backend edge
backend edge
  server edge 127.0.0.1:${edgePort} send-proxy-v2
`
}

function makeCertificate(): void {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const out = ['-keyout', join(folder, 'edge-key.pem'), '-out', join(folder, 'edge.pem')]
  execFileSync(toolPath('openssl'), ['req', '-x509', ...key, '-days', '2', ...subject, ...out], { stdio: 'ignore' })
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function listening(port: number): Promise<void> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const ok = await new Promise((resolve) => {
      socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    })
    socket.destroy()
    if (ok === true) return
    if (Date.now() > deadline) throw new Error(`nothing listens on ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
