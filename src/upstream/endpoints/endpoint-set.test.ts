import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../balancers/testing/seeded-random.ts'
import { createUpstreamCells, Health, type UpstreamCells } from '../shared/cells.ts'
import { setHealth } from '../shared/endpoint-cells.ts'
import type { Endpoint } from './endpoint.ts'
import { EndpointSet, type EndpointSetSettings } from './endpoint-set.ts'
import type { EndpointSpec } from './endpoint-spec.ts'

const ROUND_ROBIN: EndpointSetSettings = {
  balancer: { name: 'round-robin', loadBound: null },
  ejection: null,
  slowStartMs: 0,
  ownZone: null,
}
const EJECTING = { ...ROUND_ROBIN, ejection: { consecutiveFailures: 3, forMs: 1000, maxShare: 0.5 } }

test('an empty set and a set of unhealthy endpoints pick nothing', () => {
  const { set, cells, pickAll } = setUp(ROUND_ROBIN, [])
  assert.equal(set.pick(0, null), null)
  set.update([spec(0), spec(1)])
  assert.deepEqual(pickAll(2), { e0: 1, e1: 1 })
  setHealth(cells, 0, Health.DOWN, 0)
  assert.deepEqual(pickAll(2), { e1: 2 })
  setHealth(cells, 1, Health.DOWN, 0)
  assert.equal(set.pick(0, null), null)
  setHealth(cells, 0, Health.UP, 0)
  assert.deepEqual(pickAll(2), { e0: 2 })
})

test('an endpoint of weight 0 gets nothing', () => {
  const { pickAll } = setUp(ROUND_ROBIN, [spec(0), spec(1, { weight: 0 })])
  assert.deepEqual(pickAll(10), { e0: 10 })
})

test('the own zone comes first, others only when it has nobody left', () => {
  const specs = [spec(0, { zone: 'a' }), spec(1, { zone: 'b' }), spec(2, { zone: 'a' }), spec(3)]
  const { pickAll, cells } = setUp({ ...ROUND_ROBIN, ownZone: 'a' }, specs)
  assert.deepEqual(pickAll(10), { e0: 5, e2: 5 })
  setHealth(cells, 0, Health.DOWN, 0)
  assert.deepEqual(pickAll(10), { e2: 10 })
  setHealth(cells, 2, Health.DOWN, 0)
  assert.deepEqual(pickAll(10), { e1: 5, e3: 5 })
  setHealth(cells, 0, Health.UP, 0)
  assert.deepEqual(pickAll(10), { e0: 10 })
})

test('a zone that no endpoint has does not matter', () => {
  const { pickAll } = setUp({ ...ROUND_ROBIN, ownZone: 'x' }, [spec(0, { zone: 'a' }), spec(1)])
  assert.deepEqual(pickAll(10), { e0: 5, e1: 5 })
})

test('a second retry goes to one that was not tried, of another zone if need be, as long as there is one', () => {
  const specs = [spec(0, { zone: 'a' }), spec(1, { zone: 'a' }), spec(2, { zone: 'a' }), spec(3, { zone: 'b' })]
  const { set } = setUp({ ...ROUND_ROBIN, ownZone: 'a' }, specs)
  for (let round = 0; round < 20; round++) {
    const tried: Endpoint[] = []
    for (let attempt = 0; attempt < 4; attempt++) tried.push(set.pick(0, tried.at(-1) ?? null, tried)!)
    assert.equal(new Set(tried).size, 4)
    assert.equal(tried.at(-1)?.key, 'e3')
    assert.ok(tried.includes(set.pick(0, tried.at(-1)!, tried)!))
  }
})

test('a retry goes to another endpoint, of another zone if need be, and back to the same only if it is alone', () => {
  const specs = [spec(0, { zone: 'a' }), spec(1, { zone: 'b' })]
  const { set, cells } = setUp({ ...ROUND_ROBIN, ownZone: 'a' }, specs)
  const first = set.pick(0, null)!
  assert.equal(first.key, 'e0')
  assert.equal(set.pick(0, first)!.key, 'e1')
  setHealth(cells, 1, Health.DOWN, 0)
  assert.equal(set.pick(0, first), first)
})

test('an endpoint is ejected after failures in a row, and comes back when its time is over', () => {
  const { set, pickAll, at, ejections } = setUp(EJECTING, [spec(0), spec(1)])
  fail(set.endpoints[0]!, 2)
  set.endpoints[0]!.succeeded(1)
  fail(set.endpoints[0]!, 2)
  assert.deepEqual(pickAll(10), { e0: 5, e1: 5 })
  fail(set.endpoints[0]!, 1)
  assert.deepEqual(pickAll(10), { e1: 10 })
  at.ms += 900
  assert.deepEqual(pickAll(10), { e1: 10 })
  at.ms += 200
  assert.deepEqual(pickAll(10), { e0: 5, e1: 5 })
  assert.deepEqual(ejections, ['e0 1000'])
})

test('failures of one endpoint in two threads count together, and both threads keep away from it', () => {
  const { set, cells, pickAll, at } = setUp(EJECTING, [spec(0), spec(1)])
  const inputs = { random: () => 0, now: () => at.ms, onEjected: null }
  const other = new EndpointSet(cells, 1, EJECTING, inputs)
  other.update([spec(0), spec(1)])
  fail(set.endpoints[0]!, 2)
  fail(other.endpoints[0]!, 1)
  assert.deepEqual(pickAll(4), { e1: 4 })
  for (let i = 0; i < 4; i++) assert.equal(other.pick(0, null)!.key, 'e1')
})

test('passive ejection never takes the last healthy endpoint', () => {
  const { set, cells, pickAll } = setUp({ ...EJECTING, ejection: { ...EJECTING.ejection, maxShare: 1 } }, [
    spec(0),
    spec(1),
  ])
  fail(set.endpoints[0]!, 3)
  fail(set.endpoints[1]!, 30)
  assert.deepEqual(pickAll(4), { e1: 4 })
  setHealth(cells, 1, Health.DOWN, 0)
  assert.deepEqual(pickAll(4), { e0: 4 }, 'the others went down after the ejection')
  setHealth(cells, 0, Health.DOWN, 0)
  assert.equal(set.pick(0, null), null, 'what the prober says is never ignored')
})

test('slow start raises the weight of an endpoint that came back', () => {
  const { set, cells, at, pickAll } = setUp({ ...ROUND_ROBIN, slowStartMs: 10_000 }, [spec(0), spec(1)])
  assert.deepEqual(pickAll(20), { e0: 10, e1: 10 }, 'at the beginning nobody is slow')
  setHealth(cells, 1, Health.DOWN, at.ms)
  set.pick(0, null)
  setHealth(cells, 1, Health.UP, at.ms)
  assert.deepEqual(pickAll(110), { e0: 100, e1: 10 })
  at.ms += 5000
  assert.deepEqual(pickAll(150), { e0: 100, e1: 50 })
  at.ms += 5000
  assert.deepEqual(pickAll(20), { e0: 10, e1: 10 })
})

test('slow start also follows an ejection', () => {
  const { set, at, pickAll } = setUp({ ...EJECTING, slowStartMs: 1000 }, [spec(0), spec(1)])
  fail(set.endpoints[0]!, 3)
  at.ms += 1500
  const counts = pickAll(150)
  assert.ok(Math.abs(counts.e0! - 50) <= 1, JSON.stringify(counts))
})

test('endpoints that stay keep their objects and in-flight counts; those that left are returned', () => {
  const { set } = setUp(ROUND_ROBIN, [spec(0), spec(1)])
  const [first, second] = set.endpoints
  first!.started()
  const removed = set.update([spec(2), spec(0, { weight: 5 })])
  assert.deepEqual(removed, [second])
  assert.equal(set.endpoints[1], first)
  assert.equal(first!.weight, 5)
  assert.equal(first!.inFlight, 1)
  first!.finished()
  assert.equal(first!.inFlight, 0)
})

test('configure changes the balancer and keeps the endpoints', () => {
  const { set } = setUp(ROUND_ROBIN, [spec(0), spec(1), spec(2)])
  const before = set.endpoints
  set.configure({ ...ROUND_ROBIN, balancer: { name: 'hash', loadBound: null } })
  assert.equal(set.endpoints, before)
  const picks = new Set(Array.from({ length: 20 }, () => set.pick(7, null)))
  assert.equal(picks.size, 1)
})

function fail(endpoint: Endpoint, times: number): void {
  for (let i = 0; i < times; i++) endpoint.failed()
}

interface SetUp {
  set: EndpointSet
  cells: UpstreamCells
  at: { ms: number }
  ejections: string[]
  pickAll: (picks: number) => Record<string, number>
}

function setUp(settings: EndpointSetSettings, specs: EndpointSpec[]): SetUp {
  const at = { ms: 1000 }
  const cells = createUpstreamCells(at.ms, 8, 2)
  const ejections: string[] = []
  const set = new EndpointSet(cells, 0, settings, {
    random: seededRandom(1),
    now: () => at.ms,
    onEjected: (endpoint, forMs) => ejections.push(`${endpoint.key} ${forMs}`),
  })
  set.update(specs)
  const pickAll = (picks: number): Record<string, number> => {
    const counts: Record<string, number> = {}
    for (let i = 0; i < picks; i++) {
      const { key } = set.pick(i, null)!
      counts[key] = (counts[key] ?? 0) + 1
    }
    return counts
  }
  return { set, cells, at, ejections, pickAll }
}

function spec(slot: number, changes: Partial<EndpointSpec> = {}): EndpointSpec {
  const common = { secure: false, host: 'h', port: 80, unixPath: null, address: '10.0.0.1', weight: 1, zone: null }
  return { key: `e${slot}`, label: `h:${slot}`, slot, ...common, ...changes }
}
