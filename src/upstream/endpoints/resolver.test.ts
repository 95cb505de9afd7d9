import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { createUpstreamCells } from '../shared/cells.ts'
import { sharedNowMs } from '../shared/clock.ts'
import type { EndpointSettings } from '../shared/settings.ts'
import { SlotTable } from '../shared/slot-table.ts'
import { chooseFamily } from './address-family.ts'
import type { EndpointSpec } from './endpoint-spec.ts'
import { parseEndpointUrl } from './endpoint-url.ts'
import { type Lookup, systemLookup } from './name-watch.ts'
import { EndpointResolver } from './resolver.ts'

test('endpoint URLs are read, with their default ports', () => {
  const cases: [string, string, number, boolean, string][] = [
    ['http://10.0.0.1:8080', '10.0.0.1', 8080, false, '10.0.0.1:8080'],
    ['http://Orders.Internal', 'orders.internal', 80, false, 'orders.internal:80'],
    ['http://orders.internal:80/', 'orders.internal', 80, false, 'orders.internal:80'],
    ['https://orders.internal', 'orders.internal', 443, true, 'orders.internal:443'],
    ['https://orders.internal:443', 'orders.internal', 443, true, 'orders.internal:443'],
    ['https://[::1]:8443', '::1', 8443, true, '[::1]:8443'],
    ['tcp://10.0.0.5:9000', '10.0.0.5', 9000, false, '10.0.0.5:9000'],
    ['tcp://[2001:db8::1]:9000', '2001:db8::1', 9000, false, '[2001:db8::1]:9000'],
    ['unix:/run/app.sock', '', 0, false, 'unix:/run/app.sock'],
  ]
  let ran = 0
  for (const [text, host, port, secure, label] of cases) {
    const unixPath = text.startsWith('unix:') ? text.slice(5) : null
    assert.deepEqual(parseEndpointUrl(text), { secure, host, port, unixPath, label }, text)
    ran++
  }
  assert.equal(ran, 9)
})

test('URLs that mean nothing or too much are refused with a reason', () => {
  const cases: [string, RegExp][] = [
    ['10.0.0.1:8080', /not a URL|must start with/],
    ['ftp://a', /must start with http:/],
    ['http://a/path', /rewrite\.path/],
    ['http://a?x', /rewrite\.path/],
    ['http://user@a', /user name/],
    ['tcp://a', /needs a port/],
    ['http://a:0', /needs a port/],
    ['http://a:65536', /not a URL/],
    ['unix:app.sock', /absolute path/],
    ['', /not a URL/],
  ]
  let ran = 0
  for (const [text, message] of cases) {
    assert.throws(() => parseEndpointUrl(text), { name: 'RangeError', message }, text)
    ran++
  }
  assert.equal(ran, 10)
})

test('IP addresses and unix sockets are there at once and never looked up', async () => {
  const { resolver, lists, lookups } = setUp({})
  resolver.update([entry('http://127.0.0.1:1'), entry('http://[::1]:2'), entry('unix:/run/a.sock')], 1000)
  await resolver.ready(1000)
  assert.deepEqual(
    lists.map((list) => list.map(({ label, address, slot }) => [label, address, slot])),
    [
      [
        ['127.0.0.1:1', '127.0.0.1', 0],
        ['[::1]:2', '::1', 1],
        ['unix:/run/a.sock', null, 2],
      ],
    ],
  )
  assert.deepEqual(lookups, [])
})

test('every address of a name becomes an endpoint with the weight and zone of its entry', async () => {
  const { resolver } = setUp({ 'a.test': ['10.0.0.2', '10.0.0.1', '10.0.0.2'] })
  resolver.update([{ url: 'http://a.test:8080', weight: 3, zone: 'b' }], 1000)
  assert.deepEqual(resolver.list, [])
  await resolver.ready(1000)
  assert.deepEqual(
    resolver.list.map(({ key, label, address, weight, zone }) => [key, label, address, weight, zone]),
    [
      ['http://a.test:8080#10.0.0.1', 'a.test:8080', '10.0.0.1', 3, 'b'],
      ['http://a.test:8080#10.0.0.2', 'a.test:8080', '10.0.0.2', 3, 'b'],
    ],
  )
  resolver.close()
})

test('an address that changes is replaced; the one that stays keeps its slot', async () => {
  const answers = { 'a.test': ['10.0.0.1', '10.0.0.2'] }
  const { resolver, lists } = setUp(answers)
  resolver.update([entry('http://a.test:80')], 1)
  await resolver.ready(1000)
  const kept = resolver.list[1]
  answers['a.test'] = ['10.0.0.2', '10.0.0.3']
  await until(() => lists.length === 3)
  assert.deepEqual(
    resolver.list.map((spec) => spec.address),
    ['10.0.0.2', '10.0.0.3'],
  )
  assert.deepEqual(resolver.list[0], kept)
  resolver.close()
})

test('addresses stay while the name does not resolve, which is reported once, as is the recovery', async () => {
  const answers: Record<string, string[]> = { 'a.test': ['10.0.0.1'] }
  const { resolver, problems, lookups } = setUp(answers)
  resolver.update([entry('http://a.test:80')], 1)
  await resolver.ready(1000)
  answers['a.test'] = []
  await until(() => problems.length === 1)
  const failing = lookups.length
  await until(() => lookups.length > failing)
  assert.deepEqual(
    resolver.list.map((spec) => spec.address),
    ['10.0.0.1'],
  )
  answers['a.test'] = ['10.0.0.1']
  await until(() => problems.length === 2)
  assert.deepEqual(problems, ['a.test: a.test has no address', 'a.test: works'])
  resolver.close()
})

test('a name that never resolved is reported and leaves the others in use', async () => {
  const { resolver, problems } = setUp({})
  resolver.update([entry('http://gone.test:80'), entry('http://127.0.0.1:1')], 1000)
  await resolver.ready(1000)
  assert.deepEqual(
    resolver.list.map((spec) => spec.address),
    ['127.0.0.1'],
  )
  assert.deepEqual(problems, ['gone.test: ENOTFOUND'])
  resolver.close()
})

test('ready does not wait for a look-up that hangs', async () => {
  const { resolver } = setUp({}, () => new Promise(() => {}))
  resolver.update([entry('http://slow.test:80')], 1000)
  await resolver.ready(20)
  assert.deepEqual(resolver.list, [])
  resolver.close()
})

test('a reload keeps what it knows of names that stay', async () => {
  const { resolver, lists, lookups } = setUp({ 'a.test': ['10.0.0.1'], 'b.test': ['10.0.0.2'] })
  resolver.update([entry('http://a.test:80')], 60_000)
  await resolver.ready(1000)
  resolver.update([entry('http://b.test:80'), { ...entry('http://a.test:80'), weight: 9 }], 60_000)
  assert.deepEqual(
    lists.at(-1)!.map((spec) => [spec.address, spec.weight, spec.slot]),
    [['10.0.0.1', 9, 0]],
  )
  await resolver.ready(1000)
  assert.deepEqual(
    resolver.list.map((spec) => spec.slot),
    [1, 0],
  )
  assert.deepEqual(lookups, ['a.test', 'b.test'])
  resolver.close()
})

test('a malformed URL changes nothing', () => {
  const { resolver, lists } = setUp({})
  resolver.update([entry('http://127.0.0.1:1')], 1000)
  assert.throws(() => resolver.update([entry('http://127.0.0.1:2'), entry('nonsense')], 1000), RangeError)
  assert.equal(lists.length, 1)
  assert.equal(resolver.list[0]!.port, 1)
})

test('more endpoints than slots are left out and reported', () => {
  const { resolver, problems } = setUp({})
  resolver.update(
    Array.from({ length: 6 }, (_, i) => entry(`http://127.0.0.1:${i + 1}`)),
    1000,
  )
  assert.equal(resolver.list.length, 4)
  assert.equal(problems.length, 2)
})

test('localhost is reached over the version its service listens on', async (t) => {
  const addresses = await systemLookup('localhost')
  assert.ok(addresses.includes('127.0.0.1') || addresses.includes('::1'), `${addresses}`)
  const hosts = { 4: '127.0.0.1', 6: '::1' } as const
  let ran = 0
  for (const family of [4, 6] as const) {
    const server = createServer((socket) => socket.destroy())
    server.listen(0, hosts[family])
    const isListening = await Promise.race([once(server, 'listening'), once(server, 'error')]).then(
      () => server.listening,
    )
    if (!isListening) {
      t.diagnostic('this machine has no IPv6 loopback: that half did not run')
      continue
    }
    const { port } = server.address() as AddressInfo
    assert.equal(await chooseFamily('127.0.0.1', '::1', port, 2000), family)
    const { resolver } = setUp({ 'both.test': ['::1', '127.0.0.1'] })
    resolver.update([entry(`http://both.test:${port}`)], 60_000)
    await resolver.ready(5000)
    assert.deepEqual(
      resolver.list.map((spec) => spec.address),
      [hosts[family]],
    )
    resolver.close()
    server.close()
    await once(server, 'close')
    assert.equal(await chooseFamily('127.0.0.1', '::1', port, 2000), null)
    ran++
  }
  assert.ok(ran >= 1)
})

function setUp(answers: Record<string, string[]>, lookup: Lookup | null = null) {
  const lists: (readonly EndpointSpec[])[] = []
  const problems: string[] = []
  const lookups: string[] = []
  const cells = createUpstreamCells(sharedNowMs(), 4, 1)
  const resolver = new EndpointResolver({
    slots: new SlotTable(cells),
    now: sharedNowMs,
    lookup:
      lookup ??
      (async (name) => {
        lookups.push(name)
        const answer = answers[name]
        if (answer === undefined) throw new Error('ENOTFOUND')
        return answer
      }),
    onChange: (list) => lists.push(list),
    onProblem: (name, error) => problems.push(`${name}: ${error === null ? 'works' : error.message}`),
  })
  return { resolver, lists, problems, lookups }
}

function entry(url: string): EndpointSettings {
  return { url, weight: 1, zone: null }
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 8000
  while (!isTrue()) {
    assert.ok(performance.now() < deadline, 'in time')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
