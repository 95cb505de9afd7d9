import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createUpstreamCells, Header } from '../shared/cells.ts'
import { sharedNowMs } from '../shared/clock.ts'
import { setConcurrency } from '../shared/concurrency-cells.ts'
import { readGauges } from '../shared/gauges.ts'
import { type Ticket, UNLIMITED, type Waiter } from './admission.ts'
import { ConcurrencyGate } from './concurrency-gate.ts'

test('lets the limit pass and no more', () => {
  const { gate } = setUp(3, 0)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => gate.tryEnter()),
    [true, true, true, false],
  )
  gate.leave()
  assert.deepEqual([gate.tryEnter(), gate.tryEnter()], [true, false])
})

test('0 lets none pass and nobody wait', () => {
  const { gate } = setUp(0, 10)
  assert.equal(gate.tryEnter(), false)
  assert.equal(gate.enqueue(recorder([], 'a')), 'full')
})

test('waiters are admitted in their order, after the call that freed the slot has returned', async () => {
  const { gate, log } = setUp(1, 10)
  gate.tryEnter()
  for (const name of ['a', 'b', 'c']) gate.enqueue(recorder(log, name))
  gate.leave()
  assert.deepEqual(log, [])
  await tick()
  assert.deepEqual(log, ['a'])
  gate.leave()
  gate.leave()
  await tick()
  assert.deepEqual(log, ['a', 'b', 'c'])
})

test('a newcomer does not overtake a waiter, and a waiter does not lose its slot to one', async () => {
  const { gate, log } = setUp(1, 10)
  gate.tryEnter()
  gate.enqueue(recorder(log, 'a'))
  gate.leave()
  assert.equal(gate.tryEnter(), false, 'the slot already belongs to the waiter')
  await tick()
  assert.deepEqual(log, ['a'])
})

test('a slot that became free between tryEnter and enqueue is found', async () => {
  const { gate, log } = setUp(1, 10)
  gate.tryEnter()
  assert.equal(gate.tryEnter(), false)
  gate.leave()
  gate.enqueue(recorder(log, 'a'))
  assert.deepEqual(log, [])
  await tick()
  assert.deepEqual(log, ['a'])
})

test('the queue is bounded over all threads, and a place is free again after cancel', () => {
  const { gate, other, log } = setUp(1, 2)
  gate.tryEnter()
  const ticket = gate.enqueue(recorder(log, 'a')) as Ticket
  assert.notEqual(other.enqueue(recorder(log, 'b')), 'full')
  assert.equal(other.enqueue(recorder(log, 'c')), 'full')
  assert.equal(gate.enqueue(recorder(log, 'c')), 'full')
  gate.cancel(ticket)
  gate.cancel(ticket)
  assert.notEqual(gate.enqueue(recorder(log, 'c')), 'full')
  assert.equal(gate.enqueue(recorder(log, 'd')), 'full')
})

test('freed slots go to the threads in turn', async () => {
  const { gate, other, log } = setUp(1, 10)
  gate.tryEnter()
  for (const name of ['a1', 'a2', 'a3']) gate.enqueue(recorder(log, name))
  for (const name of ['b1', 'b2']) other.enqueue(recorder(log, name))
  for (let i = 0; i < 5; i++) {
    gate.leave()
    await until(() => log.length === i + 1)
  }
  assert.deepEqual(log, ['b1', 'a1', 'b2', 'a2', 'a3'])
})

test('a waiter that leaves after it was given a slot passes it on', async () => {
  const { gate, other, cells, log } = setUp(1, 10)
  gate.tryEnter()
  const ticket = gate.enqueue(recorder(log, 'a')) as Ticket
  gate.leave()
  other.enqueue(recorder(log, 'b'))
  gate.cancel(ticket)
  await until(() => log.length === 1)
  assert.deepEqual(log, ['b'])
  other.leave()
  assert.equal(cells.words[Header.ADMITTED], 0)
})

test('cancelling any of several waiters keeps the order of the rest', async () => {
  const { gate, cells, log } = setUp(1, 10)
  gate.tryEnter()
  const tickets = ['a', 'b', 'c', 'd', 'e'].map((name) => gate.enqueue(recorder(log, name)) as Ticket)
  for (const i of [0, 2, 4]) gate.cancel(tickets[i]!)
  assert.equal(gate.waiting, 2)
  gate.leave()
  await tick()
  gate.leave()
  await tick()
  gate.leave()
  assert.deepEqual(log, ['b', 'd'])
  assert.deepEqual([cells.words[Header.ADMITTED], cells.words[Header.WAITING]], [0, 0])
})

test('who waits longer than the queue timeout is told so, once, and no longer counts', async () => {
  const { gate, cells, log } = setUp(1, 10, 30)
  gate.tryEnter()
  const begun = sharedNowMs()
  gate.enqueue(recorder(log, 'a'))
  gate.queueTimeoutMs = 60_000
  gate.enqueue(recorder(log, 'b'))
  await until(() => log.length > 0)
  const waited = sharedNowMs() - begun
  assert.deepEqual(log, ['a timed out'])
  assert.ok(waited >= 29 && waited < 1000, `${waited} ms`)
  assert.equal(cells.words[Header.WAITING], 1)
  gate.leave()
  await tick()
  assert.deepEqual(log, ['a timed out', 'b'])
})

test('a raised limit and a lifted one let waiters in at once', async () => {
  const { gate, cells, log } = setUp(1, 10)
  gate.tryEnter()
  for (const name of ['a', 'b', 'c', 'd']) gate.enqueue(recorder(log, name))
  setConcurrency(cells, { limit: 3, queue: 10 })
  await until(() => log.length === 2)
  setConcurrency(cells, null)
  await until(() => log.length === 4)
  assert.deepEqual(log, ['a', 'b', 'c', 'd'])
})

test('a lowered limit lets nobody in until enough have left', async () => {
  const { gate, cells, log } = setUp(3, 10)
  for (let i = 0; i < 3; i++) gate.tryEnter()
  setConcurrency(cells, { limit: 1, queue: 10 })
  gate.enqueue(recorder(log, 'a'))
  gate.leave()
  gate.leave()
  await tick()
  assert.deepEqual(log, [])
  gate.leave()
  await tick()
  assert.deepEqual(log, ['a'])
})

test('a waiter that ends at once does not deepen the stack, however long the queue', async () => {
  const { gate, cells } = setUp(1, 50_000)
  gate.tryEnter()
  let ended = 0
  const waiter: Waiter = {
    onAdmitted: () => {
      ended++
      gate.leave()
    },
    onQueueTimeout: () => assert.fail(),
  }
  for (let i = 0; i < 50_000; i++) gate.enqueue(waiter)
  gate.leave()
  await until(() => ended === 50_000)
  assert.deepEqual([cells.words[Header.ADMITTED], cells.words[Header.WAITING]], [0, 0])
})

test('gauges count what runs and waits', () => {
  const { gate, other, cells } = setUp(2, 10)
  gate.tryEnter()
  other.tryEnter()
  other.enqueue(recorder([], 'a'))
  const { admitted, waiting, limit } = readGauges(cells, [], sharedNowMs())
  assert.deepEqual([admitted, waiting, limit], [2, 1, 2])
})

test('without a limit everything passes', () => {
  assert.equal(UNLIMITED.tryEnter(), true)
  UNLIMITED.leave()
})

function setUp(limit: number, queue: number, queueTimeoutMs = 60_000) {
  const cells = createUpstreamCells(sharedNowMs(), 4, 4)
  setConcurrency(cells, { limit, queue })
  const gate = new ConcurrencyGate(cells, 0, queueTimeoutMs, sharedNowMs)
  const other = new ConcurrencyGate(cells, 1, queueTimeoutMs, sharedNowMs)
  const log: string[] = []
  return { cells, gate, other, log }
}

function recorder(log: string[], name: string): Waiter {
  return { onAdmitted: () => log.push(name), onQueueTimeout: () => log.push(`${name} timed out`) }
}

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000
  while (!isTrue()) {
    assert.ok(performance.now() < deadline, 'in time')
    await tick()
  }
}
