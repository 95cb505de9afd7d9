import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { LineWriter, type LineWriterSettings } from './line-writer.ts'
import { createTurnMemory, releaseTurnOf, WriteTurn } from './write-turn.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'line-writer-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

interface Seen {
  dropped: number
  readonly problems: string[]
}

function createWriter(path: string, more: Partial<LineWriterSettings> = {}): [LineWriter, Seen] {
  const seen: Seen = { dropped: 0, problems: [] }
  const writer = new LineWriter({
    path,
    turn: null,
    onDropped: (lines) => {
      seen.dropped += lines
    },
    onProblem: (error) => seen.problems.push(error.code ?? ''),
    lossLine: (lines) => `lost ${lines}\n`,
    ...more,
  })
  return [writer, seen]
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000
  while (!isTrue()) {
    if (Date.now() > deadline) assert.fail(`waited 5 s for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('lines reach the file in order without being asked for, within the flush time', async (t) => {
  const path = join(folder(t), 'log')
  const [writer] = createWriter(path)
  for (let i = 0; i < 100; i++) writer.append(`line ${i}\n`)
  assert.equal(readFileSync(path, 'utf8'), '', 'nothing is written before the loop turns')
  await until('the lines', () => readFileSync(path, 'utf8').length > 0)
  writer.append('again\n')
  await until('a second batch', () => readFileSync(path, 'utf8').endsWith('again\n'))
  assert.equal(readFileSync(path, 'utf8'), `${Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join('')}again\n`)
  await writer.close()
})

test('close writes everything, many batches and a line larger than a batch', async (t) => {
  const path = join(folder(t), 'log')
  const [writer, seen] = createWriter(path)
  const lines = Array.from({ length: 5000 }, (_, i) => `${i} ${'x'.repeat(i % 90)}\n`)
  lines.splice(2500, 0, `${'y'.repeat(100_000)}\n`)
  for (const line of lines) writer.append(line)
  await writer.close()
  assert.equal(readFileSync(path, 'utf8'), lines.join(''))
  assert.deepEqual(seen, { dropped: 0, problems: [] })
  assert.equal(writer.waitingBytes, 0)
})

test('a file that cannot be opened stops the start', (t) => {
  assert.throws(() => createWriter(join(folder(t), 'no', 'such', 'folder')), { code: 'ENOENT' })
})

test('reopen goes on in a new file after the old one was moved, and no line is lost', async (t) => {
  const path = join(folder(t), 'log')
  const [writer] = createWriter(path)
  let sent = 0
  for (let turn = 0; turn < 5; turn++) {
    for (let i = 0; i < 2000; i++) writer.append(`line ${sent++}\n`)
    renameSync(path, `${path}.${turn}`)
    await Promise.all([writer.reopen(), writer.reopen()])
    assert.ok(existsSync(path))
  }
  await writer.close()
  const all =
    [0, 1, 2, 3, 4].map((turn) => readFileSync(`${path}.${turn}`, 'utf8')).join('') + readFileSync(path, 'utf8')
  assert.equal(all, Array.from({ length: 10_000 }, (_, i) => `line ${i}\n`).join(''))
})

test('a reopen that fails keeps the old file', async (t) => {
  const dir = folder(t)
  const link = join(dir, 'link')
  const real = join(dir, 'real')
  symlinkSync(real, link)
  const [writer, seen] = createWriter(link)
  unlinkSync(link)
  symlinkSync(join(dir, 'no', 'such'), link)
  await writer.reopen()
  writer.append('still here\n')
  await writer.close()
  assert.deepEqual(seen.problems, ['ENOENT'])
  assert.equal(readFileSync(real, 'utf8'), 'still here\n')
})

test('a full disk loses only what is above the limit, and says so when there is room again', async (t) => {
  const dir = folder(t)
  const link = join(dir, 'log')
  symlinkSync('/dev/full', link)
  const [writer, seen] = createWriter(link, { waitingLimitBytes: 1000, flushMs: 1 })
  for (let i = 0; i < 150; i++) writer.append(`line ${String(i).padStart(4, '0')}\n`)
  assert.equal(seen.dropped, 50, 'a line of 10 bytes, a limit of 1000')
  await until('the first failure', () => seen.problems.length > 0)
  unlinkSync(link)
  symlinkSync(join(dir, 'real'), link)
  await writer.reopen()
  await until('room again', () => writer.waitingBytes === 0)
  writer.append('after\n')
  await writer.close()
  const expected = Array.from({ length: 100 }, (_, i) => `line ${String(i).padStart(4, '0')}\n`).join('')
  assert.equal(readFileSync(join(dir, 'real'), 'utf8'), `${expected}lost 50\nafter\n`)
  assert.deepEqual(seen.problems, ['ENOSPC'], 'told once')
})

/** Starts a process that reads a pipe to its end. */
function readToEnd(pipe: string): Promise<string> {
  const cat = spawn('cat', [pipe], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  cat.stdout.setEncoding('latin1').on('data', (part: string) => {
    text += part
  })
  return new Promise((resolve, reject) => cat.once('error', reject).once('close', () => resolve(text)))
}

function createPipe(t: TestContext): string {
  const path = join(folder(t), 'pipe')
  execFileSync('mkfifo', [path])
  return path
}

test('a pipe without a reader stops the start and does not hang it', (t) => {
  assert.throws(() => createWriter(createPipe(t)), { code: 'ENXIO' })
})

test('a reader that stands still gets every line whole when it reads again', async (t) => {
  const path = createPipe(t)
  const idle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const [writer, seen] = createWriter(path, { flushMs: 1 })
  const lines = Array.from({ length: 400 }, (_, i) => `${i} ${'z'.repeat(2000)}\n`)
  for (const line of lines) writer.append(line)
  await until('the pipe to be full', () => writer.waitingBytes < 750_000)
  const text = readToEnd(path)
  const closed = writer.close(10_000)
  await closed
  closeSync(idle)
  assert.equal(await text, lines.join(''))
  assert.deepEqual(seen, { dropped: 0, problems: [] })
})

test('a line that was torn when the log was reopened is written whole to the new file', async (t) => {
  const pipe = createPipe(t)
  const dir = folder(t)
  const link = join(dir, 'log')
  symlinkSync(pipe, link)
  const idle = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
  const [writer] = createWriter(link, { flushMs: 1 })
  const lines = Array.from({ length: 100 }, (_, i) => `${i} ${'z'.repeat(2001)}\n`)
  for (const line of lines) writer.append(line)
  await until('the pipe to be full', () => writer.waitingBytes < 150_000)
  unlinkSync(link)
  symlinkSync(join(dir, 'real'), link)
  await writer.reopen()
  await writer.close()
  const part = Buffer.alloc(1024 * 1024)
  let length = 0
  for (let n = -1; n !== 0; length += n) n = readSync(idle, part, length, part.length - length, null)
  closeSync(idle)
  const before = part.toString('latin1', 0, length).split('\n')
  assert.notEqual(before.at(-1), '', 'a line is torn in the pipe')
  before.pop()
  const after = readFileSync(join(dir, 'real'), 'utf8').trimEnd().split('\n')
  const all = [...before, ...after].map((line) => `${line}\n`)
  assert.deepEqual(all, lines)
  assert.ok(after.length > 1)
})

test('close gives up after its deadline when nobody reads', async (t) => {
  const path = createPipe(t)
  const idle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  t.after(() => closeSync(idle))
  const [writer] = createWriter(path)
  for (let i = 0; i < 100; i++) writer.append(`${'z'.repeat(2000)}\n`)
  await writer.close(50)
  assert.ok(writer.waitingBytes > 0)
})

const THREAD = `
  const { workerData, threadId } = require('node:worker_threads')
  Promise.all([import(workerData.writerUrl), import(workerData.turnUrl)]).then(([{ LineWriter }, { WriteTurn }]) => {
    const fail = (error) => { throw error }
    const turn = new WriteTurn(workerData.turn, threadId + 1)
    const writer = new LineWriter({ path: workerData.path, turn, onDropped: fail, onProblem: fail, lossLine: fail, flushMs: 2 })
    let i = 0
    const step = () => {
      for (let k = 0; k < 5; k++) writer.append(threadId + ' ' + i++ + ' ' + 'abc'.repeat((i * 7919) % 3000) + ';\\n')
      if (i < 300) setImmediate(step)
      else writer.close(20000)
    }
    step()
  })`

test('a line is never split by another thread, also through a full pipe and with lines above the atomic size', async (t) => {
  const path = createPipe(t)
  const open = openSync(path, constants.O_RDWR)
  const text = readToEnd(path)
  const writerUrl = new URL('./line-writer.ts', import.meta.url).href
  const turnUrl = new URL('./write-turn.ts', import.meta.url).href
  const workerData = { writerUrl, turnUrl, path, turn: createTurnMemory() }
  const exits = Array.from({ length: 3 }, () => {
    const worker = new Worker(THREAD, { eval: true, workerData })
    return new Promise<number>((resolve, reject) => worker.once('error', reject).once('exit', resolve))
  })
  assert.deepEqual(await Promise.all(exits), [0, 0, 0])
  closeSync(open)
  const next = new Map<string, number>()
  for (const line of (await text).trimEnd().split('\n')) {
    const [, thread = '', number = ''] = /^(\d+) (\d+) (?:abc)*;$/.exec(line) ?? assert.fail(line.slice(0, 80))
    assert.equal(Number(number), next.get(thread) ?? 0, 'each thread in its order')
    next.set(thread, Number(number) + 1)
  }
  assert.deepEqual([...next.values()], [300, 300, 300])
})

test('the turn of a thread that died is freed by the main thread', () => {
  const shared = createTurnMemory()
  const dead = new WriteTurn(shared, 5)
  const living = new WriteTurn(shared, 6)
  assert.equal(dead.take(), true)
  assert.equal(dead.take(), true, 'asking again is harmless')
  assert.equal(living.take(), false)
  living.release()
  assert.equal(living.take(), false, 'nobody frees the turn of another by releasing')
  releaseTurnOf(shared, 5)
  assert.equal(living.take(), true)
  living.release()
})
