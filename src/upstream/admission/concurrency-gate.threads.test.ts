import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { createUpstreamCells, Header, type UpstreamCells } from '../shared/cells.ts'
import { clearThread } from '../shared/clear-thread.ts'
import { sharedNowMs } from '../shared/clock.ts'
import { setConcurrency } from '../shared/concurrency-cells.ts'
import { readGauges } from '../shared/gauges.ts'
import { ConcurrencyGate } from './concurrency-gate.ts'
import { BOARD, type HammerData } from './testing/hammer-thread.ts'

const LIMIT = 7

test('four threads that hammer a limit of 7 never run more than 7 at once, and all reach their end', async () => {
  const { cells, board, words } = setUp(LIMIT, 1000)
  const workers = await startAll([0, 1, 2, 3], {
    cells: cells.buffer,
    board,
    mode: 'hammer',
    requests: 3000,
    parallel: 20,
  })
  const exits = workers.map((worker) => once(worker, 'exit'))
  start(words)
  await Promise.race(exits)
  const atFirstEnd = [0, 1, 2, 3].map((thread) => Atomics.load(words, BOARD.DONE + thread))
  await Promise.all(exits)
  assert.equal(words[BOARD.MOST], LIMIT)
  assert.deepEqual([...words.subarray(BOARD.DONE, BOARD.DONE + 4)], [3000, 3000, 3000, 3000])
  assert.equal(words[BOARD.TIMEOUTS]! + words[BOARD.FULL]!, 0)
  assert.ok(Math.min(...atFirstEnd) > 3000 / 4, `nobody starves: ${atFirstEnd}`)
  assertEmpty(cells)
})

test('threads that take and leave slots in tight loops never hold more than the limit together', async () => {
  const { cells, board, words } = setUp(LIMIT, 0)
  const data = { cells: cells.buffer, board, mode: 'spin', requests: 60_000, parallel: 5 } as const
  const workers = await startAll([0, 1, 2, 3], data)
  const exits = workers.map((worker) => once(worker, 'exit'))
  start(words)
  await Promise.all(exits)
  // Without a queue nobody is promised a turn: a thread can use up its rounds while others hold everything.
  assert.ok(words[BOARD.MOST]! <= LIMIT, `${words[BOARD.MOST]} at once`)
  assert.ok(words.subarray(BOARD.DONE, BOARD.DONE + 4).some((count) => count > 0))
  assertEmpty(cells)
})

test('with a short queue over all threads, some are told that it is full, and the rest run', async () => {
  const { cells, board, words } = setUp(LIMIT, 10)
  const workers = await startAll([0, 1, 2, 3], {
    cells: cells.buffer,
    board,
    mode: 'hammer',
    requests: 1000,
    parallel: 20,
  })
  const exits = workers.map((worker) => once(worker, 'exit'))
  start(words)
  await Promise.all(exits)
  const done = words.subarray(BOARD.DONE, BOARD.DONE + 4).reduce((sum, count) => sum + count, 0)
  assert.equal(done + words[BOARD.FULL]!, 4000)
  assert.ok(words[BOARD.FULL]! > 0)
  assert.ok(words[BOARD.MOST]! <= LIMIT)
  assertEmpty(cells)
})

test('a thread that dies with all slots held gives them to the waiters of others', async () => {
  const { cells, board } = setUp(LIMIT, 100)
  const [holder] = await startAll([1], { cells: cells.buffer, board, mode: 'hold', requests: 100, parallel: 0 })
  assert.equal(readGauges(cells, [], sharedNowMs()).admitted, LIMIT)
  const gate = new ConcurrencyGate(cells, 0, 60_000, sharedNowMs)
  assert.equal(gate.tryEnter(), false)
  const admitted = Promise.all(Array.from({ length: LIMIT }, () => wait(gate)))
  await holder!.terminate()
  clearThread(cells, 1)
  await admitted
  assert.equal(gate.tryEnter(), false)
  for (let i = 0; i < LIMIT; i++) gate.leave()
  assertEmpty(cells)
})

test('threads killed in the middle of the hammering leave no slot behind', async () => {
  let ran = 0
  for (const killAfter of [200, 900, 2500]) {
    const { cells, board, words } = setUp(LIMIT, 1000)
    const data = { cells: cells.buffer, board, mode: 'hammer', parallel: 10 } as const
    const [victim] = await startAll([0], { ...data, requests: 1e9 })
    const others = await startAll([1, 2], { ...data, requests: 4000 })
    const exits = others.map((worker) => once(worker, 'exit'))
    start(words)
    while (Atomics.load(words, BOARD.DONE) < killAfter) await new Promise(setImmediate)
    await victim!.terminate()
    clearThread(cells, 0)
    await Promise.all(exits)
    assert.equal(words[BOARD.DONE + 1], 4000)
    assert.equal(words[BOARD.DONE + 2], 4000)
    assertEmpty(cells)
    ran++
  }
  assert.equal(ran, 3)
})

test('a dead owner of the lock is released by main, also while another thread waits for it', async () => {
  const { cells, board, words } = setUp(LIMIT, 1000)
  Atomics.store(cells.words, Header.LOCK, 5 + 1)
  const [worker] = await startAll([0], { cells: cells.buffer, board, mode: 'hammer', requests: 1, parallel: 1 }, false)
  const exit = once(worker!, 'exit')
  start(words)
  clearThread(cells, 4)
  assert.notEqual(Atomics.load(cells.words, Header.LOCK), 0, 'not the lock of a thread that lives')
  clearThread(cells, 5)
  await exit
  assert.equal(words[BOARD.DONE], 1)
})

test('a gate with waiters keeps no thread alive', async () => {
  const { cells, board, words } = setUp(0, 10)
  setConcurrency(cells, { limit: 1, queue: 10 })
  const gate = new ConcurrencyGate(cells, 1, 60_000, sharedNowMs)
  assert.ok(gate.tryEnter())
  const source = `
    import { workerData } from 'node:worker_threads'
    const { UpstreamCells } = await import(workerData.base + 'shared/cells.ts')
    const { ConcurrencyGate } = await import(workerData.base + 'admission/concurrency-gate.ts')
    const gate = new ConcurrencyGate(new UpstreamCells(workerData.cells), 0, 60_000, () => performance.now())
    gate.enqueue({ onAdmitted() {}, onQueueTimeout() {} })
    Atomics.store(new Int32Array(workerData.board), ${BOARD.DONE}, gate.waiting)`
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: { cells: cells.buffer, board, base: new URL('../', import.meta.url).href },
  })
  await once(worker, 'exit')
  assert.equal(words[BOARD.DONE], 1)
})

function setUp(limit: number, queue: number): { cells: UpstreamCells; board: SharedArrayBuffer; words: Int32Array } {
  const cells = createUpstreamCells(sharedNowMs(), 4, 8)
  setConcurrency(cells, { limit, queue })
  const board = new SharedArrayBuffer(256)
  return { cells, board, words: new Int32Array(board) }
}

async function startAll(threads: number[], data: Omit<HammerData, 'thread'>, isAwaited = true): Promise<Worker[]> {
  const workers = threads.map((thread) => {
    const url = new URL('./testing/hammer-thread.ts', import.meta.url)
    return new Worker(url, { workerData: { ...data, thread } })
  })
  if (isAwaited) await Promise.all(workers.map((worker) => once(worker, 'message')))
  return workers
}

function start(words: Int32Array): void {
  Atomics.store(words, BOARD.START, 1)
  Atomics.notify(words, BOARD.START)
}

function wait(gate: ConcurrencyGate): Promise<void> {
  return new Promise((resolve, reject) => {
    const ticket = gate.enqueue({ onAdmitted: resolve, onQueueTimeout: () => reject(new Error('timeout')) })
    if (ticket === 'full') reject(new Error('full'))
  })
}

function assertEmpty(cells: UpstreamCells): void {
  const gauges = readGauges(cells, [], sharedNowMs())
  assert.deepEqual([gauges.admitted, gauges.waiting], [0, 0])
  assert.equal(cells.words[Header.ADMITTED], 0)
  assert.equal(cells.words[Header.WAITING], 0)
  assert.equal(cells.words[Header.LOCK], 0)
}
