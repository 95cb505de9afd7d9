import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import type { Config } from '../config/root.schema.ts'
import { PortCheck } from './port-check.ts'

function configOf(addresses: Record<string, { host: string; port: number } | { path: string }>): Config {
  const listeners = Object.fromEntries(Object.entries(addresses).map(([name, address]) => [name, { address }]))
  return { listeners } as unknown as Config
}

test('a port that shares itself with others is refused all the same', async () => {
  const other = createServer().listen({ host: '127.0.0.1', port: 0, reusePort: true })
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const check = new PortCheck()
  assert.deepEqual(await check.prepare(configOf({ a: { host: '127.0.0.1', port } })), [
    `listeners.a.address: cannot listen on 127.0.0.1:${port} (another process has this port)`,
  ])
  other.close()
})

test('a port of our own is not checked again, until a configuration gives it up', async () => {
  const own = createServer().listen({ host: '127.0.0.1', port: 0, reusePort: true })
  await once(own, 'listening')
  const { port } = own.address() as AddressInfo
  await new Promise((resolve) => own.close(resolve))
  const check = new PortCheck()
  const config = configOf({ a: { host: '127.0.0.1', port } })
  assert.deepEqual(await check.prepare(config), [])
  await check.commit()
  own.listen({ host: '127.0.0.1', port, reusePort: true })
  await once(own, 'listening')
  assert.deepEqual(await check.prepare(config), [])
  assert.deepEqual(await check.prepare(configOf({ a: { host: '0.0.0.0', port } })), [])
  await check.prepare(configOf({}))
  await check.commit()
  assert.equal((await check.prepare(config)).length, 1)
  own.close()
})

test('an address of no interface is refused; free ports, port 0 and unix sockets are not', async () => {
  const check = new PortCheck()
  const config = configOf({
    a: { host: '127.0.0.1', port: 0 },
    b: { path: '/run/edge.sock' },
    c: { host: '203.0.113.1', port: 1 },
  })
  const problems = await check.prepare(config)
  assert.equal(problems.length, 1)
  assert.match(problems[0], /listeners\.c\.address: .*no network interface/)
})
