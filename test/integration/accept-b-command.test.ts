/** The command line as its user meets it: exit codes, messages, secrets, odd surroundings. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { EdgeProcess, eventually } from '../server-standin/process.ts'
import { ask } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { echoEndpoint } from '../support/endpoints.ts'

const BIN = fileURLToPath(new URL('../../bin/sallyport', import.meta.url))
const ending = endOfFile()
let folder = ''

before(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'sallyport-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

interface Result {
  readonly status: number | string
  readonly out: string
  readonly err: string
}

async function sallyport(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  const child = new EdgeProcess(args, { cwd: folder, env: { ...process.env, ...env } }, BIN)
  const timer = setTimeout(() => child.child.kill('SIGKILL'), 20_000)
  const status = await child.exited
  clearTimeout(timer)
  return { status, out: child.out, err: child.err }
}

const LISTENER = "listeners: { a: { address: '127.0.0.1:0' } }\n"

test('run: exit codes and where they speak', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await eventually('it listens', async () => taken.listening || null)
  const { port } = taken.address() as AddressInfo
  const rows: [string, string | null, string[], number, RegExp][] = [
    ['no-file', null, [], 2, /no-file\.yaml:1:1 file: cannot be read: there is no such file/],
    [
      'bad',
      'listeners: { a: { address: x } }\nzebra: 1\n',
      [],
      2,
      /bad\.yaml:1:\d+ listeners\.a\.address: .*\nbad\.yaml:2:1 zebra: /,
    ],
    ['empty', '', [], 2, /listeners/],
    ['no-listener', 'listeners: {}\n', [], 2, /listeners: there is none/],
    [
      'taken',
      `listeners: { a: { address: '127.0.0.1:${port}' } }\nroutes: [{ respond: {} }]\n`,
      [],
      1,
      /listeners\.a\.address: cannot listen/,
    ],
    [
      'no-address',
      "listeners: { a: { address: '192.0.2.1:0' } }\nroutes: [{ respond: {} }]\n",
      [],
      1,
      /listeners\.a\.address: cannot listen/,
    ],
    [
      'log',
      `${LISTENER}routes: [{ respond: {} }]\ntelemetry: { accessLog: { path: none/there.log } }\n`,
      [],
      1,
      /telemetry\.accessLog\.path: cannot be opened/,
    ],
    ['threads', LISTENER, ['--threads', '0'], 2, /--threads must be/],
  ]
  const results = await Promise.all(
    rows.map(([name, text, more]) => {
      if (text !== null) writeFileSync(join(folder, `${name}.yaml`), text)
      return sallyport(['run', '-c', `${name}.yaml`, ...more])
    }),
  )
  taken.close()
  for (const [n, [name, , , status, message]] of rows.entries()) {
    assert.equal(results[n].status, status, `${name}: ${results[n].err}`)
    assert.match(results[n].err, message, name)
    assert.equal(results[n].out, '', name)
  }
  assert.equal(rows.length, 8)
})

test('check: every mistake at once, each with line and column and a hint', async () => {
  writeFileSync(
    join(folder, 'many.yaml'),
    `listeners:
  public: { address: 127.0.0.1:0, tls: { certificates: [{ certificate: none.pem, key: none.pem }], ciphers: NOPE } }
  bytes: { address: '127.0.0.1:0', mode: tcp, upstream: app }
  hidden: { address: '127.0.0.1:0', limit: {} }
upstreams:
  app: { endpoints: ['http://127.0.0.1:1', 'http://127.0.0.1:1'], balancer: hash }
  odd: { endpoints: ['ftp://x'], concurrency: { limit: -1, queueTimeout: 2 }, retry: { on: [sometimes], budget: 200% } }
routes:
  - { path: /a, upstream: ap }
  - { path: /b/{x}/{x}, upstream: app }
  - { path: /c }
  - { path: /d, upstream: app, respond: {} }
  - { path: /e, split: [{ upstream: app, weight: 0 }] }
  - { path: /f, upstream: app, rewrite: { path: '/{nobody}' } }
  - { path: /g, upstream: app, from: [300.0.0.0/8] }
  - { path: /a, upstream: app }
policies: { waf: { mode: block } }
zebra: 1
`,
  )
  const { status, out, err } = await sallyport(['check', '-c', 'many.yaml'])
  assert.deepEqual([status, out], [2, ''])
  const lines = err.trim().split('\n')
  for (const line of lines) assert.match(line, /^many\.yaml:\d+:\d+ \S+: /, line)
  const expected = [
    /:2:\d+ listeners\.public\.tls\.certificates\[0\]\.certificate: cannot be read/,
    /:2:\d+ listeners\.public\.tls\.ciphers: has no cipher/,
    /:3:\d+ listeners\.bytes\.upstream: its endpoints are not all tcp/,
    /:4:\d+ listeners\.hidden\.limit: .*limits/,
    /:6:\d+ upstreams\.app\.endpoints\[1\]: .*twice/,
    /:6:\d+ upstreams\.app\.hash: is missing/,
    /:7:\d+ upstreams\.odd\.endpoints\[0\]/,
    /:7:\d+ upstreams\.odd\.concurrency\.limit/,
    /:7:\d+ upstreams\.odd\.concurrency\.queueTimeout: .*unit/,
    /:7:\d+ upstreams\.odd\.retry\.on\[0\]/,
    /:7:\d+ upstreams\.odd\.retry\.budget/,
    /:9:\d+ routes\[0\]\.upstream: .*app/,
    /:10:\d+ routes\[1\]\.path/,
    /:11:\d+ routes\[2\]/,
    /:12:\d+ routes\[3\]/,
    /:13:\d+ routes\[4\]/,
    /:14:\d+ routes\[5\]\.rewrite\.path/,
    /:15:\d+ routes\[6\]\.from\[0\]/,
    /:17:\d+ policies\.waf/,
    /:18:\d+ zebra/,
  ]
  for (const pattern of expected)
    assert.ok(
      lines.some((line) => pattern.test(line)),
      `${pattern} in\n${err}`,
    )
  assert.equal(expected.length, 20)
  const order = lines.map((line) => Number(line.split(':')[1]))
  assert.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
  )
})

test('reload without an edge is a failure of its own, bad usage another', async () => {
  writeFileSync(join(folder, 'idle.yaml'), LISTENER)
  const [none, usage, missing] = await Promise.all([
    sallyport(['reload', '-c', 'idle.yaml']),
    sallyport(['reload', '--now']),
    sallyport(['reload', '-c', 'gone.yaml']),
  ])
  assert.deepEqual([none.status, none.out], [1, ''])
  assert.match(none.err, /^no running edge found for idle\.yaml/)
  assert.equal(usage.status, 2)
  assert.match(usage.err, /usage: sallyport reload/)
  assert.equal(missing.status, 1)
})

test('secrets come from the environment and from files, and are in no message', async () => {
  const echo = await echoEndpoint(ending)
  const yaml = `
listeners: { public: { address: '127.0.0.1:0' } }
upstreams: { echo: { endpoints: ['${echo.url}'] } }
routes: [{ path: /*, upstream: echo }]
policies: { headers: { request: { set: { X-Env: '\${env:TEST_SECRET}', X-File: 'Bearer \${file:secret.txt}', X-Plain: '$\${env:TEST_SECRET}' } } } }
telemetry: { accessLog: { path: access.jsonl } }
`
  const edge = new RunningEdge(ending)
  edge.write('secret.txt', 'from-the-file\n')
  edge.env = { TEST_SECRET: 'from-the-environment' }
  await edge.start(yaml, '--threads', '1')
  await ask(edge.port('public'), '/')
  const { headers } = echo.seen[0]
  assert.deepEqual(
    [headers['x-env'], headers['x-file'], headers['x-plain']],
    ['from-the-environment', 'Bearer from-the-file', `\${env:TEST_SECRET}`],
  )
  // A changed secret file is taken over by a reload.
  edge.write('secret.txt', 'rotated')
  await edge.reload()
  await ask(edge.port('public'), '/')
  assert.equal(echo.seen[1].headers['x-file'], 'Bearer rotated')
  rmSync(join(edge.folder, 'secret.txt'))
  await assert.rejects(edge.reload(), /secret\.txt/)
  await ask(edge.port('public'), '/')
  assert.equal(echo.seen[2].headers['x-file'], 'Bearer rotated')
  const { status, err } = await sallyport(['check', '-c', edge.file])
  assert.equal(status, 2)
  assert.match(err, /environment variable TEST_SECRET is not set/)
  assert.match(err, /secret\.txt/)
  for (const text of [edge.process.err, edge.process.out, err]) assert.doesNotMatch(text, /from-the-|rotated/)
})

test('in a folder that cannot be written the edge runs, says so, and is reloaded by SIGHUP', async () => {
  const place = mkdtempSync(join(folder, 'read-only-'))
  const file = join(place, 'sallyport.yaml')
  const yaml = (body: string): string =>
    `listeners: { public: { address: '127.0.0.1:0' } }\nroutes: [{ respond: { body: ${body} } }]\n`
  writeFileSync(file, yaml('one'))
  chmodSync(folder, 0o755)
  chmodSync(place, 0o555)
  // Permissions say nothing to root.
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
  const edge = new EdgeProcess(
    ['run', '-c', file, '--threads', '1'],
    { ...user, env: { ...process.env, HOME: place } },
    BIN,
  )
  try {
    await edge.ready()
    const port = Number(new URL(edge.url('public')).port)
    assert.equal((await ask(port, '/')).body, 'one')
    await edge.errLine(/"level":"warn","event":"control-socket-missing"/)
    chmodSync(place, 0o755)
    writeFileSync(file, yaml('two'))
    edge.signal('SIGHUP')
    await edge.errLine(/reloaded: generation 2/)
    assert.equal((await ask(port, '/')).body, 'two')
    edge.signal('SIGTERM')
    assert.equal(await edge.exited, 0)
  } finally {
    await edge.kill()
  }
})

test('a signal in the first moments neither ends the edge nor opens a debugger', async () => {
  writeFileSync(join(folder, 'early.yaml'), `${LISTENER}routes: [{ respond: {} }]\n`)
  const edge = new EdgeProcess(['run', '-c', 'early.yaml', '--threads', '1'], { cwd: folder }, BIN)
  try {
    // Its own listeners for signals show in the mask of caught ones: bit 0 is SIGHUP, bit 9 SIGUSR1.
    await eventually('signals are caught', async () => {
      const status = existsSync(`/proc/${edge.pid}/status`) ? readFileSync(`/proc/${edge.pid}/status`, 'utf8') : ''
      return (BigInt(`0x${/SigCgt:\s+(\w+)/.exec(status)?.[1] ?? '0'}`) & 1n) === 1n || null
    })
    edge.signal('SIGHUP')
    edge.signal('SIGUSR1')
    await edge.ready()
    assert.doesNotMatch(edge.err, /Debugger/)
    edge.signal('SIGTERM')
    assert.equal(await edge.exited, 0)
  } finally {
    await edge.kill()
  }
})

test('compiled modules are kept beside the packages, else in the cache of the user, else nowhere', async () => {
  // A checkout with a node that tells what it was started with.
  const root = join(folder, 'checkout')
  mkdirSync(join(root, 'bin'), { recursive: true })
  mkdirSync(join(root, 'src'))
  mkdirSync(join(root, 'tools'))
  cpSync(BIN, join(root, 'bin/sallyport'))
  writeFileSync(join(root, 'src/cli.ts'), '')
  const node = join(root, 'tools/node')
  writeFileSync(node, '#!/bin/sh\nif [ "$1" = -p ]; then echo 26; else echo "$NODE_COMPILE_CACHE"; fi\n')
  chmodSync(node, 0o755)
  const run = async (env: Record<string, string>): Promise<string> => {
    const PATH = `${join(root, 'tools')}:${process.env.PATH}`
    const child = new EdgeProcess(['version'], { env: { PATH, ...env } }, join(root, 'bin/sallyport'))
    assert.equal(await child.exited, 0, child.err)
    return child.out.trim()
  }
  const home = join(folder, 'home')
  mkdirSync(home)
  assert.equal(await run({}), '')
  assert.equal(await run({ HOME: '/proc/nobody' }), '')
  assert.equal(await run({ HOME: home }), join(home, '.cache/sallyport'))
  assert.equal(await run({ HOME: home, XDG_CACHE_HOME: join(home, 'xdg') }), join(home, 'xdg/sallyport'))
  mkdirSync(join(root, 'node_modules'))
  assert.equal(await run({ HOME: home }), join(root, 'node_modules/.cache/sallyport'))
  assert.equal(await run({ HOME: home, NODE_COMPILE_CACHE: '/chosen' }), '/chosen')
})

test('kill -9 leaves a socket behind that hinders neither the next edge nor reload', async () => {
  const edge = new RunningEdge(ending)
  const yaml = "listeners: { public: { address: '127.0.0.1:0' } }\nroutes: [{ respond: { body: alive } }]\n"
  const first = await edge.start(yaml, '--threads', '1')
  const left = join(edge.folder, `sallyport.db.${first.pid}.sock`)
  first.signal('SIGKILL')
  assert.equal(await first.exited, 'SIGKILL')
  assert.equal(existsSync(left), true)
  await edge.start(yaml, '--threads', '1')
  assert.equal(existsSync(left), false)
  const { status, out } = await sallyport(['reload', '-c', edge.file])
  assert.deepEqual([status, out], [0, 'reloaded: generation 2\n'])
  assert.equal((await ask(edge.port('public'), '/')).body, 'alive')
})
