import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientKey } from './client-key.ts'
import type { ConnectionSlot } from './connection-slot.ts'
import { type ConnectionLimits, ConnectionTable } from './connection-table.ts'
import { clearCountCell, createCountCells, SharedCount } from './shared-count.ts'

const NONE: ConnectionLimits = {
  connections: Number.POSITIVE_INFINITY,
  connectionsPerClient: Number.POSITIVE_INFINITY,
  handshakes: Number.POSITIVE_INFINITY,
  handshakesPerClient: Number.POSITIVE_INFINITY,
}
const createTable = (limits: Partial<ConnectionLimits>, cells = createCountCells(1), thread = 0) =>
  new ConnectionTable({ ...NONE, ...limits }, new SharedCount(cells, thread))

/** Admits a connection that is idle at once and writes its name down when it is closed for room. */
function admitIdle(table: ConnectionTable, ip: string, closed: string[], name = ip): ConnectionSlot {
  const slot = table.admit(ip)
  assert.ok(slot !== null)
  slot.owner = { closeIdle: () => closed.push(name) }
  slot.markIdle()
  return slot
}

test('when all places are taken, the longest idle connection makes room', () => {
  const closed: string[] = []
  const table = createTable({ connections: 3 })
  const first = admitIdle(table, '10.0.0.1', closed)
  admitIdle(table, '10.0.0.2', closed)
  admitIdle(table, '10.0.0.3', closed)
  first.markBusy()
  first.markIdle()
  assert.ok(table.admit('10.0.0.4'))
  assert.deepEqual(closed, ['10.0.0.2'])
  assert.equal(table.open, 3)
})

test('when none is idle, the newcomer is refused and nothing stays counted', () => {
  const cells = createCountCells(1)
  const table = createTable({ connections: 2 }, cells)
  const slots = [table.admit('10.0.0.1')!, table.admit('10.0.0.2')!]
  assert.equal(table.admit('10.0.0.3'), null)
  assert.equal(table.clients, 2)
  for (const slot of slots) slot.release()
  assert.deepEqual([table.open, table.clients, new SharedCount(cells, 0).sum()], [0, 0, 0])
})

test('the limit in all holds over all threads, and a dead thread gives its share back', () => {
  const cells = createCountCells(2)
  const one = createTable({ connections: 3 }, cells, 0)
  const two = createTable({ connections: 3 }, cells, 1)
  assert.ok(one.admit('10.0.0.1'))
  assert.ok(one.admit('10.0.0.1'))
  assert.ok(two.admit('10.0.0.1'))
  assert.equal(two.admit('10.0.0.1'), null)
  assert.equal(one.admit('10.0.0.1'), null)
  clearCountCell(cells, 0)
  assert.ok(two.admit('10.0.0.1'))
})

test('a client at its limit loses its own longest idle connection, not those of others', () => {
  const closed: string[] = []
  const table = createTable({ connectionsPerClient: 2 })
  admitIdle(table, '10.0.0.9', closed, 'other')
  admitIdle(table, '10.0.0.1', closed, 'first')
  admitIdle(table, '10.0.0.1', closed, 'second')
  assert.ok(table.admit('10.0.0.1'))
  assert.deepEqual(closed, ['first'])
})

test('a client at its limit with nothing idle is refused, others are not', () => {
  const table = createTable({ connectionsPerClient: 1 })
  const slot = table.admit('2001:db8:0:1::1')
  assert.ok(slot)
  assert.equal(table.admit('2001:db8:0:1:ffff::2'), null, 'the same /64')
  assert.ok(table.admit('2001:db8:0:2::1'))
  slot.release()
  assert.ok(table.admit('2001:db8:0:1::3'))
})

test('a client with a limit of one loses its idle connection and is counted on', () => {
  const closed: string[] = []
  const table = createTable({ connectionsPerClient: 1 })
  admitIdle(table, '10.0.0.1', closed, 'first')
  admitIdle(table, '10.0.0.1', closed, 'second')
  assert.deepEqual([closed, table.open, table.clients], [['first'], 1, 1])
})

test('handshakes are limited in all and for each client', () => {
  const table = createTable({ handshakes: 3, handshakesPerClient: 2 })
  const slots = ['10.0.0.1', '10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.3'].map((ip) => table.admit(ip)!)
  assert.deepEqual(
    slots.map((slot) => table.beginHandshake(slot)),
    [true, true, false, true, false],
  )
  table.endHandshake(slots[0]!)
  table.endHandshake(slots[0]!)
  assert.equal(table.handshakes, 2)
  slots[1]!.release()
  assert.equal(table.handshakes, 1)
  assert.equal(table.beginHandshake(slots[2]!), true)
})

test('a connection released twice, or marked after its release, is counted once', () => {
  const closed: string[] = []
  const table = createTable({})
  const slot = admitIdle(table, '10.0.0.1', closed)
  slot.release()
  slot.release()
  slot.markIdle()
  assert.deepEqual([table.open, table.idle, table.clients], [0, 0, 0])
})

test('lower limits close nothing that is open', () => {
  const closed: string[] = []
  const table = createTable({})
  for (let i = 0; i < 5; i++) admitIdle(table, '10.0.0.1', closed)
  table.setLimits({ ...NONE, connections: 2 })
  assert.deepEqual([table.open, closed], [5, []])
})

test('all idle connections can be closed for a drain', () => {
  const closed: string[] = []
  const table = createTable({})
  for (const name of ['a', 'b', 'c']) admitIdle(table, '10.0.0.1', closed, name)
  table.admit('10.0.0.1')
  table.closeAllIdle()
  assert.deepEqual([closed, table.open], [['a', 'b', 'c'], 1])
})

test('the lists stay whole under random use', () => {
  const closed: string[] = []
  const table = createTable({ connections: 30, connectionsPerClient: 10 })
  const slots: ConnectionSlot[] = []
  let state = 12345
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) % below
  }
  for (let step = 0; step < 20_000; step++) {
    const slot = slots[random(Math.max(1, slots.length))]
    const action = random(4)
    if (action === 0 || slot === undefined) {
      const admitted = table.admit(`10.0.0.${random(5)}`)
      if (admitted !== null) {
        admitted.owner = { closeIdle: () => closed.push('') }
        slots.push(admitted)
      }
    } else if (action === 1) slot.markIdle()
    else if (action === 2) slot.markBusy()
    else slot.release()
    const live = slots.filter((one) => !one.released)
    assert.equal(table.open, live.length)
    assert.equal(table.idle, live.filter((one) => one.idle).length)
    slots.splice(0, slots.length, ...live)
  }
  for (const slot of slots) slot.release()
  assert.deepEqual([table.open, table.idle, table.clients], [0, 0, 0])
  assert.ok(closed.length > 100, `${closed.length} closed for room`)
})

test('IPv6 clients are counted by their /64', () => {
  assert.equal(clientKey('2001:db8::1'), clientKey('2001:db8:0:0:1:2:3:4'))
  assert.notEqual(clientKey('2001:db8::1'), clientKey('2001:db8:0:1::1'))
  assert.equal(clientKey('10.0.0.1'), '10.0.0.1')
})
