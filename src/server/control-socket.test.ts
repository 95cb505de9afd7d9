import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { findEdges, requestReload } from './control-client.ts'
import type { ReloadReply, StatusReply } from './control-messages.ts'
import { controlPlace, controlSocketPath } from './control-path.ts'
import { type ControlSocket, openControlSocket } from './control-socket.ts'

let folder = ''
let file = ''
let socket: ControlSocket | null = null
let reloads = 0
let reply: ReloadReply = { ok: true, lines: ['reloaded: generation 2'] }

beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'control-'))
  file = join(folder, 'sallyport.yaml')
  writeFileSync(file, 'listeners: {}\n')
  reloads = 0
  reply = { ok: true, lines: ['reloaded: generation 2'] }
})

afterEach(() => {
  socket?.close()
  socket = null
  rmSync(folder, { recursive: true })
})

async function open(store = 'sqlite:sallyport.db', configFile = file): Promise<ControlSocket> {
  socket = await openControlSocket(controlPlace(file, store), {
    status: async (): Promise<StatusReply> => ({
      ok: true,
      pid: process.pid,
      configFile,
      generation: 1,
      draining: false,
      listeners: [],
      threads: [],
    }),
    reload: async () => {
      reloads++
      return reply
    },
  })
  return socket
}

async function talk(path: string, text: string): Promise<string> {
  const client = createConnection({ path })
  let answer = ''
  client.setEncoding('utf8')
  client.on('data', (chunk: string) => {
    answer += chunk
  })
  // The edge may close while we still write.
  client.on('error', () => {})
  client.write(text)
  await new Promise((resolve) => client.on('close', resolve))
  return answer
}

test('a reload reaches the running edge and its answer comes back', async () => {
  await open()
  assert.deepEqual(await requestReload(file), reply)
  assert.equal(reloads, 1)
})

test('a refused reload is not ok and brings its problem lines', async () => {
  await open()
  reply = { ok: false, lines: ['sallyport.yaml:1:1 listeners: wrong'] }
  assert.deepEqual(await requestReload(file), reply)
})

test('without a running edge a reload says so', async () => {
  const answer = await requestReload(file)
  assert.equal(answer.ok, false)
  assert.match(answer.lines[0], /no running edge/)
})

test('only this user may open the control socket', async () => {
  const { path } = await open()
  assert.equal(statSync(path).mode & 0o777, 0o600)
})

test('the edge is found by another name of the file, and by a store that the file names', async () => {
  writeFileSync(file, 'state: { store: "sqlite:other.db" }\nlisteners: [broken\n')
  const link = join(folder, 'link.yaml')
  symlinkSync(file, link)
  await open('sqlite:other.db')
  assert.equal((await findEdges(link)).length, 1)
})

test('an edge of another file beside the same store is left alone', async () => {
  await open('sqlite:sallyport.db', join(folder, 'other.yaml'))
  assert.equal((await requestReload(file)).ok, false)
  assert.equal(reloads, 0)
})

test('sockets of dead processes are removed by the next start and by the client', async () => {
  const place = controlPlace(file, 'sqlite:sallyport.db')
  const stale = controlSocketPath(place, 4_194_304)
  writeFileSync(stale, '')
  await open()
  assert.equal(existsSync(stale), false)
  writeFileSync(stale, '')
  assert.equal((await findEdges(file)).length, 1)
  assert.equal(existsSync(stale), false)
})

test('a living process that does not answer on its socket is no edge', async () => {
  writeFileSync(controlSocketPath(controlPlace(file, 'sqlite:sallyport.db'), 1), '')
  assert.deepEqual(await findEdges(file), [])
})

test('an unknown command, text that is no JSON and a request without end are refused', async () => {
  const { path } = await open()
  assert.match(await talk(path, '{"command":"explode"}\n'), /unknown command/)
  assert.match(await talk(path, 'null\n'), /unknown command/)
  assert.match(await talk(path, 'hello\n'), /unknown command/)
  assert.equal(await talk(path, 'x'.repeat(100_000)), '')
  assert.equal(reloads, 0)
})

test('a folder that cannot be written rejects, so that the edge goes on without a control socket', async () => {
  const place = controlPlace(join(folder, 'missing', 'sallyport.yaml'), 'none')
  await assert.rejects(openControlSocket(place, { status: never, reload: never }), /ENOENT|EACCES/)
})

test('the socket file is gone after close', async () => {
  const { path } = await open()
  socket?.close()
  assert.equal(existsSync(path), false)
})

test('an answer that never ends is given up', async () => {
  const place = controlPlace(file, 'sqlite:sallyport.db')
  const flood = createServer((client) => {
    client.on('error', () => {})
    const write = (): void => {
      while (!client.destroyed && client.write('x'.repeat(65_536))) {}
    }
    client.on('drain', write)
    write()
  })
  flood.listen(controlSocketPath(place, process.pid))
  await once(flood, 'listening')
  assert.deepEqual(await findEdges(file), [])
  flood.close()
})

function never(): Promise<never> {
  return Promise.reject(new Error('not asked'))
}
