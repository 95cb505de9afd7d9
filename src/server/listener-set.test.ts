import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { createCountCells } from '../listener/shared-count.ts'
import { type ListenerPlan, ListenerSet } from './listener-set.ts'

const EVENTS = { onAccepted() {}, onClosed() {}, onRefused() {}, onHandshakeFailed() {}, onError() {} }

/** Connections are greeted with `greeting` and counted as open until they close. */
function plan(key: string, greeting: string, retired: string[] = [], path: string | null = null): ListenerPlan {
  return {
    key,
    settings: {
      name: key,
      address: path === null ? { host: '127.0.0.1', port: 0 } : { path },
      mode: 'http',
      tls: null,
      proxyProtocol: null,
      trustedProxies: null,
      limits: { connections: 100, connectionsPerClient: 100, handshakes: 10, handshakesPerClient: 10 },
      timeouts: { handshakeMs: 1000 },
    },
    share: { thread: 0, threads: 1, connectionCells: createCountCells(1), ticketKeys: Buffer.alloc(48) },
    events: EVENTS,
    deliver: (socket, _info, _firstBytes, slot) => {
      slot.owner = { closeIdle: () => socket.destroy() }
      slot.markIdle()
      socket.on('error', () => {})
      socket.on('close', () => slot.release())
      socket.resume()
      socket.write(greeting)
    },
    url: (port) => `http://127.0.0.1:${port}`,
    retire: () => retired.push(key),
  }
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('utf8')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

test('connections that come before the commit wait for it', async () => {
  const set = new ListenerSet()
  const plans = [plan('a', 'hello')]
  const { listeners, problems } = await set.open(plans, {})
  assert.deepEqual(problems, [])
  const socket = await dial(listeners[0].port)
  let greeted = false
  socket.once('data', () => {
    greeted = true
  })
  const second = await dial(listeners[0].port)
  assert.equal(greeted, false)
  const data = once(second, 'data')
  await set.commit(plans)
  assert.equal(String((await data)[0]), 'hello')
  socket.destroy()
  second.destroy()
  assert.equal(await set.drain(2_000), 0)
})

test('an abort closes what was opened and drops the connections that waited', async () => {
  const set = new ListenerSet()
  const { listeners } = await set.open([plan('a', 'hello')], {})
  const socket = await dial(listeners[0].port)
  const closed = once(socket, 'close')
  await set.abort()
  await closed
  const again = connect(listeners[0].port, '127.0.0.1')
  const [error] = await once(again, 'error')
  assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED')
  assert.equal(set.connections, 0)
})

test('a kept listener takes its new plan, a missing one is retired and its connections go on', async () => {
  const set = new ListenerSet()
  const retired: string[] = []
  const first = [plan('a', 'one', retired), plan('b', 'one', retired)]
  const { listeners } = await set.open(first, {})
  await set.commit(first)
  const kept = await dial(listeners[1].port)
  await once(kept, 'data')
  const next = [plan('a', 'two', retired)]
  const reopened = await set.open(next, {})
  assert.equal(reopened.listeners[0].port, listeners[0].port)
  await set.commit(next)
  assert.deepEqual(retired, ['b'])
  const fresh = await dial(listeners[0].port)
  assert.equal(String((await once(fresh, 'data'))[0]), 'two')
  assert.equal(kept.destroyed, false)
  assert.equal(set.connections, 2)
  assert.equal(await set.drain(2_000), 0)
})

test('an address that cannot be opened is a problem with its reason, on a path that is no socket', async () => {
  const set = new ListenerSet()
  const { problems } = await set.open([plan('a', 'hello', [], import.meta.filename)], {})
  assert.equal(problems.length, 1)
  assert.match(problems[0], /listeners\.a\.address: cannot listen \(.*not a socket/)
})

test('a drain counts the connections that outlast its deadline', async () => {
  const set = new ListenerSet()
  const plans = [{ ...plan('a', 'hello'), deliver: busy }]
  const { listeners } = await set.open(plans, {})
  await set.commit(plans)
  const socket = await dial(listeners[0].port)
  await once(socket, 'data')
  assert.equal(await set.drain(100), 1)
  socket.destroy()
})

/** An exchange that never ends. */
const busy: ListenerPlan['deliver'] = (socket, _info, _firstBytes, slot) => {
  socket.on('error', () => {})
  socket.on('close', () => slot.release())
  socket.resume()
  socket.write('busy')
}
