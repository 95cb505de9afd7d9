import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { StandInConfig } from '../../test/server-standin/engine.ts'
import { EdgeProcess, eventually, fetchText } from '../../test/server-standin/process.ts'
import { findEdges, requestReload } from './control-client.ts'

const MAIN = fileURLToPath(new URL('../../test/server-standin/main.ts', import.meta.url))

let folder = ''
let file = ''
let edges: EdgeProcess[] = []

beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'edge-'))
  file = join(folder, 'edge.json')
  edges = []
})

afterEach(async () => {
  for (const edge of edges) await edge.kill()
  rmSync(folder, { recursive: true })
})

function configure(config: Partial<StandInConfig>): void {
  writeFileSync(file, JSON.stringify({ listeners: { public: '127.0.0.1:0' }, reply: 'one', ...config }))
}

function spawnEdge(): EdgeProcess {
  const edge = new EdgeProcess([MAIN, file])
  edges.push(edge)
  return edge
}

async function startEdge(config: Partial<StandInConfig> = {}): Promise<EdgeProcess> {
  configure(config)
  const edge = spawnEdge()
  await edge.ready()
  return edge
}

/** Makes a thread fail; its own answer never comes. */
async function crash(edge: EdgeProcess, path: string): Promise<void> {
  await assert.rejects(fetchText(`${edge.url('public')}${path}`))
}

const body = async (url: string): Promise<string> => (await fetchText(url)).body

test('the edge prints its listeners, then ready, and every thread serves the same port', async () => {
  const edge = await startEdge({ threads: 3 })
  assert.deepEqual(edge.out.trim().split('\n'), [`listening public ${edge.url('public')}`, 'ready'])
  assert.match(edge.url('public'), /^http:\/\/127\.0\.0\.1:[1-9]\d*$/)
  const slots = new Set<string>()
  await eventually('an answer of each thread', async () => {
    slots.add((await body(edge.url('public'))).split(' ')[0])
    return slots.size === 3 || null
  })
})

test('a configuration that is refused ends with status 2 and its problems', async () => {
  writeFileSync(file, '{')
  const edge = spawnEdge()
  assert.equal(await edge.exited, 2)
  assert.match(edge.err, /edge\.json: /)
  assert.equal(edge.out, '')
})

test('no listeners: status 2', async () => {
  configure({ listeners: {} })
  const edge = spawnEdge()
  assert.equal(await edge.exited, 2)
  assert.match(edge.err, /listeners/)
})

test('a port in use at the start: status 1 and the reason', async () => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  configure({ listeners: { public: `127.0.0.1:${(taken.address() as AddressInfo).port}` } })
  const edge = spawnEdge()
  assert.equal(await edge.exited, 1)
  assert.match(edge.err, /EADDRINUSE/)
  taken.close()
})

for (const [what, path, reason] of [
  ['throws', '/throw', /thrown on purpose/],
  ['rejects', '/reject', /nobody catches this/],
  ['exits', '/exit', /exit code 7/],
] as const) {
  test(`a data thread that ${what} is replaced, its shares are freed, and the others go on`, async () => {
    const edge = await startEdge()
    await crash(edge, path)
    const [, slot] = await edge.errLine(/data thread (\d) died/)
    assert.match(edge.err, reason)
    await edge.errLine(new RegExp(`freed ${slot}`))
    for (let i = 0; i < 10; i++) assert.match(await body(edge.url('public')), /one/)
    await edge.errLine(new RegExp(`data thread ${slot} was replaced`))
    await eventually('an answer of the new thread', async () =>
      (await body(edge.url('public'))).startsWith(slot) ? true : null,
    )
  })
}

test('a data thread that runs out of memory is replaced', async () => {
  const edge = await startEdge()
  await crash(edge, '/memory')
  await edge.errLine(/died: .*memory/)
  await edge.errLine(/was replaced/)
  assert.match(await body(edge.url('public')), /one/)
})

test('a replaced thread gets the configuration that is current by then', async () => {
  const edge = await startEdge({ threads: 1 })
  configure({ threads: 1, reply: 'two' })
  assert.equal((await requestReload(file)).ok, true)
  await crash(edge, '/throw')
  await edge.errLine(/was replaced/)
  assert.match(await body(edge.url('public')), /^0 two/)
})

test('threads that die again and again end the process with status 1', async () => {
  const edge = await startEdge({ threads: 1 })
  await eventually('the end', async () => {
    await fetchText(`${edge.url('public')}/exit`).catch(() => {})
    return edge.child.exitCode !== null || /too often/.test(edge.err) || null
  })
  assert.equal(await edge.exited, 1)
})

test('a reload makes the new configuration current in every thread', async () => {
  const edge = await startEdge()
  configure({ reply: 'two' })
  assert.deepEqual(await requestReload(file), { ok: true, lines: ['reloaded: generation 2'] })
  for (let i = 0; i < 10; i++) assert.match(await body(edge.url('public')), /^\d two/)
})

test('a reload that fails in a thread, or in the file, changes nothing and says why', async () => {
  const edge = await startEdge()
  configure({ reply: 'two', broken: 'on purpose' })
  assert.deepEqual(await requestReload(file), { ok: false, lines: ['broken: on purpose'] })
  writeFileSync(file, '{')
  const answer = await requestReload(file)
  assert.equal(answer.ok, false)
  assert.match(answer.lines[0], /edge\.json: /)
  assert.match(await body(edge.url('public')), /^\d one 1/)
})

test('a port that cannot be opened fails the reload, and what it opened is closed again', async () => {
  const edge = await startEdge()
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const free = await freePort()
  const { port } = taken.address() as AddressInfo
  configure({
    reply: 'two',
    listeners: { public: '127.0.0.1:0', extra: `127.0.0.1:${free}`, taken: `127.0.0.1:${port}` },
  })
  const answer = await requestReload(file)
  taken.close()
  assert.equal(answer.ok, false)
  assert.match(answer.lines[0], /taken.*EADDRINUSE/)
  assert.match(await body(edge.url('public')), /^\d one/)
  await assert.rejects(fetchText(`http://127.0.0.1:${free}/`), /ECONNREFUSED/)
})

test('a reload opens new listeners and closes those that are gone', async () => {
  const edge = await startEdge()
  configure({ listeners: { other: '127.0.0.1:0' } })
  assert.equal((await requestReload(file)).ok, true)
  const [found] = await findEdges(file)
  assert.equal(found.status.generation, 2)
  assert.deepEqual(
    found.status.listeners.map((listener) => listener.name),
    ['other'],
  )
  assert.match(await body(found.status.listeners[0].url), /one/)
  await assert.rejects(fetchText(edge.url('public')), /ECONNREFUSED/)
})

test('reloads at the same time are applied one after the other', async () => {
  await startEdge()
  configure({ reply: 'two' })
  const answers = await Promise.all([requestReload(file), requestReload(file), requestReload(file)])
  assert.deepEqual(answers.map((answer) => answer.lines[0]).sort(), [
    'reloaded: generation 2',
    'reloaded: generation 3',
    'reloaded: generation 4',
  ])
})

test('SIGHUP reloads; with a bad file the old configuration goes on', async () => {
  const edge = await startEdge()
  configure({ reply: 'two' })
  edge.signal('SIGHUP')
  await edge.errLine(/reloaded: generation 2/)
  assert.match(await body(edge.url('public')), /two/)
  writeFileSync(file, '{')
  edge.signal('SIGHUP')
  await edge.errLine(/reload refused: generation 2 goes on/)
  assert.match(await body(edge.url('public')), /two/)
})

test('a running exchange keeps its configuration over a reload', async () => {
  const edge = await startEdge()
  const slow = fetchText(`${edge.url('public')}/slow/600`)
  await eventually('two answers in flight', async () => (await body(edge.url('public'))) !== '' || null)
  configure({ reply: 'two' })
  assert.equal((await requestReload(file)).ok, true)
  assert.match((await slow).body, /first \d one/)
})

test('signals during the start neither kill nor debug the edge, and the reload happens after it', async () => {
  configure({})
  const edge = spawnEdge()
  // The handlers are the first thing that is installed; the state before that is Node's own start.
  await eventually('handlers', async () => (handles(edge.pid, 1) && handles(edge.pid, 10)) || null)
  edge.signal('SIGHUP')
  edge.signal('SIGUSR1')
  await edge.errLine(/reloaded: generation 2/)
  await edge.ready()
  assert.doesNotMatch(edge.err, /[Dd]ebugger/)
})

test('SIGTERM during the start ends it with 0', async () => {
  configure({})
  const edge = spawnEdge()
  await eventually('handlers', async () => handles(edge.pid, 1) || null)
  edge.signal('SIGTERM')
  assert.equal(await edge.exited, 0)
})

test('SIGUSR1 reopens the logs in every thread and starts no debugger', async () => {
  const edge = await startEdge()
  edge.signal('SIGUSR1')
  await edge.errLine(/slot 0 reopened/)
  await edge.errLine(/slot 1 reopened/)
  assert.doesNotMatch(edge.err, /[Dd]ebugger/)
})

test('SIGTERM finishes the slow request, refuses new connections, writes the logs and exits 0', async () => {
  const edge = await startEdge()
  const slow = fetchText(`${edge.url('public')}/slow/700`)
  await eventually('the slow request', async () => (await body(edge.url('public'))) !== '' || null)
  edge.signal('SIGTERM')
  await eventually('closed', () =>
    fetchText(edge.url('public')).then(
      () => null,
      () => true,
    ),
  )
  assert.match((await slow).body, /first \d one/)
  assert.equal(await edge.exited, 0)
  assert.match(edge.err, /slot 0 closed its logs/)
  assert.match(edge.err, /slot 1 closed its logs/)
  assert.deepEqual(readdirSync(folder), ['edge.json'])
})

test('the drain deadline cuts what still runs, and the exit is 0 all the same', async () => {
  const edge = await startEdge({ drainTimeoutMs: 200 })
  const slow = fetchText(`${edge.url('public')}/slow/60000`)
  const cut = assert.rejects(slow)
  await eventually('the slow request', async () => (await body(edge.url('public'))) !== '' || null)
  edge.signal('SIGTERM')
  await cut
  assert.equal(await edge.exited, 0)
  await edge.errLine(/cut at the deadline/).catch(() => assert.match(edge.err, /cut at the deadline/))
})

test('a second SIGTERM exits at once with 1', async () => {
  const edge = await startEdge({ drainTimeoutMs: 60_000 })
  const slow = fetchText(`${edge.url('public')}/slow/60000`)
  const cut = assert.rejects(slow)
  await eventually('the slow request', async () => (await body(edge.url('public'))) !== '' || null)
  edge.signal('SIGTERM')
  await edge.errLine(/draining/)
  const before = performance.now()
  edge.signal('SIGTERM')
  assert.equal(await edge.exited, 1)
  assert.ok(performance.now() - before < 2_000)
  await cut
})

test('kill -9 leaves a socket that the next start and the client remove', async () => {
  const killed = await startEdge()
  const path = join(folder, `sallyport.db.${killed.pid}.sock`)
  assert.ok(existsSync(path))
  await killed.kill()
  assert.ok(existsSync(path))
  const next = await startEdge()
  assert.equal(existsSync(path), false)
  assert.equal((await findEdges(file))[0].status.pid, next.pid)
})

test('two edges of one file are both reloaded', async () => {
  await startEdge()
  await startEdge()
  assert.equal((await requestReload(file)).ok, true)
  const found = await findEdges(file)
  assert.deepEqual(
    found.map((edge) => edge.status.generation),
    [2, 2],
  )
})

test('a folder that cannot be written costs the control socket only', async () => {
  const edge = await startEdge({ store: 'sqlite:missing/sallyport.db' })
  assert.match(edge.err, /no control socket/)
  assert.match(await body(edge.url('public')), /one/)
})

test('a reader that leaves does not end the edge', async () => {
  const edge = await startEdge()
  edge.child.stdout?.destroy()
  edge.child.stderr?.destroy()
  edge.signal('SIGUSR1')
  configure({ reply: 'two' })
  assert.equal((await requestReload(file)).ok, true)
  assert.match(await body(edge.url('public')), /two/)
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** True when the process has a handler of its own for the signal number. */
function handles(pid: number, signal: number): boolean {
  const status = readStatus(pid)
  const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(status)
  return caught !== null && ((BigInt(`0x${caught[1]}`) >> BigInt(signal - 1)) & 1n) === 1n
}

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return ''
  }
}
