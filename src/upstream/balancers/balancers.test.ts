import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Endpoint } from '../endpoints/endpoint.ts'
import { createUpstreamCells, Slot, type UpstreamCells } from '../shared/cells.ts'
import type { Balancer } from './balancer.ts'
import { HashBalancer } from './hash.ts'
import { hashText, mix } from './hash-text.ts'
import { LatencyBalancer } from './latency.ts'
import { LeastRequestsBalancer } from './least-requests.ts'
import { RoundRobinBalancer } from './round-robin.ts'
import { seededRandom } from './testing/seeded-random.ts'
import { WeightedSampler } from './weighted-sampler.ts'

test('round-robin gives equal endpoints exactly equal shares, in turn', () => {
  const { balancer, endpoints } = rebuilt(new RoundRobinBalancer(() => 0), [1, 1, 1])
  const order = Array.from({ length: 6 }, () => endpoints.indexOf(balancer.pick(0, null)))
  assert.deepEqual(order, [1, 2, 0, 1, 2, 0])
})

test('weighted round-robin is exact over each cycle and not in bursts', () => {
  const { balancer, endpoints } = rebuilt(new RoundRobinBalancer(() => 0), [5, 1, 1])
  const order = Array.from({ length: 7 }, () => 'abc'[endpoints.indexOf(balancer.pick(0, null))]).join('')
  assert.equal(order, 'aabacaa')
  assert.deepEqual(shares(balancer, endpoints, 7000), [5000, 1000, 1000])
})

test('weighted round-robin holds fractional weights within one request', () => {
  const { balancer, endpoints } = rebuilt(new RoundRobinBalancer(() => 0), [0.25, 1, 2])
  const counts = shares(balancer, endpoints, 3250)
  for (const [i, expected] of [250, 1000, 2000].entries()) assert.ok(Math.abs(counts[i]! - expected) <= 1, `${counts}`)
})

test('threads begin their round at different endpoints', () => {
  const random = seededRandom(3)
  const firsts = new Set<number>()
  for (let thread = 0; thread < 50; thread++) {
    const { balancer, endpoints } = rebuilt(new RoundRobinBalancer(random), [1, 1, 1, 1])
    firsts.add(endpoints.indexOf(balancer.pick(0, null)))
  }
  assert.equal(firsts.size, 4)
})

test('after a change of the list weighted round-robin starves and floods nobody', () => {
  const { balancer, endpoints } = rebuilt(new RoundRobinBalancer(() => 0), [3, 1, 1])
  shares(balancer, endpoints, 1234)
  balancer.rebuild(endpoints.slice(0, 2), Float64Array.of(3, 1))
  shares(balancer, endpoints, 777)
  balancer.rebuild(endpoints, Float64Array.of(3, 1, 1))
  const counts = shares(balancer, endpoints, 50)
  for (const [i, expected] of [30, 10, 10].entries()) assert.ok(Math.abs(counts[i]! - expected) <= 2, `${counts}`)
})

test('the sampler draws in proportion to the weights', () => {
  const sampler = new WeightedSampler(seededRandom(1))
  const weights = Float64Array.of(1, 2, 3, 0.5, 3.5)
  sampler.rebuild(weights)
  const counts = [0, 0, 0, 0, 0]
  for (let i = 0; i < 100_000; i++) counts[sampler.draw()]!++
  for (const [i, weight] of weights.entries()) assertShare(counts[i]!, 100_000, weight / 10)
})

test('idle endpoints get requests by weight from least-requests', () => {
  const { balancer, endpoints } = rebuilt(new LeastRequestsBalancer(seededRandom(2)), [2, 1, 1])
  const counts = shares(balancer, endpoints, 40_000)
  for (const [i, share] of [0.5, 0.25, 0.25].entries()) assertShare(counts[i]!, 40_000, share)
})

test('least-requests keeps running requests even, far better than chance', () => {
  const { balancer, endpoints } = rebuilt(new LeastRequestsBalancer(seededRandom(4)), new Array(20).fill(1))
  for (let i = 0; i < 2000; i++) balancer.pick(0, null).started()
  const running = endpoints.map((endpoint) => endpoint.inFlight)
  assert.equal(
    running.reduce((sum, count) => sum + count, 0),
    2000,
  )
  assert.ok(Math.max(...running) - Math.min(...running) <= 8, `${running}`)
})

test('least-requests counts running requests against the weight', () => {
  const { balancer, endpoints } = rebuilt(new LeastRequestsBalancer(seededRandom(5)), [3, 1])
  for (let i = 0; i < 400; i++) balancer.pick(0, null).started()
  assert.ok(Math.abs(endpoints[0]!.inFlight - 300) <= 3, `${endpoints[0]!.inFlight}`)
})

test('least-requests sees the requests that other threads run', () => {
  const { balancer, endpoints, cells } = rebuilt(new LeastRequestsBalancer(seededRandom(6)), [1, 1])
  const elsewhere = endpoint(0, 1, cells, 1)
  for (let i = 0; i < 5; i++) elsewhere.started()
  assert.deepEqual(shares(balancer, endpoints, 100), [0, 100])
})

test('latency prefers the fast endpoint until it runs too much', () => {
  const { balancer, endpoints } = rebuilt(new LatencyBalancer(seededRandom(7), () => 0), [1, 1])
  endpoints[0]!.succeeded(10)
  endpoints[1]!.succeeded(100)
  balancer.observe(endpoints[0]!, 10)
  balancer.observe(endpoints[1]!, 100)
  assert.deepEqual(shares(balancer, endpoints, 100), [100, 0])
  for (let i = 0; i < 220; i++) balancer.pick(0, null).started()
  assert.ok(Math.abs(endpoints[0]!.inFlight - 200) <= 3, `${endpoints[0]!.inFlight}`)
})

test('latency follows a peak at once and forgets it with time', () => {
  let now = 0
  const { balancer, endpoints } = rebuilt(new LatencyBalancer(seededRandom(8), () => now), [1, 1])
  for (const one of endpoints) balancer.observe(one, 10)
  balancer.observe(endpoints[0]!, 500)
  assert.equal(endpoints[0]!.latencyMs, 500)
  assert.deepEqual(shares(balancer, endpoints, 50), [0, 50])
  now += 60_000
  balancer.observe(endpoints[1]!, 10)
  assert.deepEqual(shares(balancer, endpoints, 50), [50, 0])
  balancer.observe(endpoints[0]!, 20)
  assert.ok(endpoints[0]!.latencyMs < 22, `${endpoints[0]!.latencyMs}`)
})

test('latency sends one request at a time to an endpoint it knows nothing of', () => {
  const { balancer, endpoints } = rebuilt(new LatencyBalancer(seededRandom(9), () => 0), [1, 1])
  balancer.observe(endpoints[0]!, 5)
  assert.equal(balancer.pick(0, null), endpoints[1])
  endpoints[1]!.started()
  assert.deepEqual(shares(balancer, endpoints, 50), [50, 0])
})

test('a fast failure does not look like a fast endpoint', () => {
  const { balancer, endpoints } = rebuilt(new LatencyBalancer(seededRandom(10), () => 0), [1, 1])
  balancer.observe(endpoints[0]!, 1)
  balancer.observe(endpoints[1]!, 50)
  balancer.failed(endpoints[0]!)
  assert.deepEqual(shares(balancer, endpoints, 50), [0, 50])
})

test('hash sends the same key to the same endpoint, in every thread and whatever the order of the list', () => {
  const one = rebuilt(new HashBalancer(null), [1, 1, 1, 1, 1])
  const two = new HashBalancer(null)
  two.rebuild([...one.endpoints].reverse(), Float64Array.of(1, 1, 1, 1, 1))
  for (let i = 0; i < 1000; i++) {
    const hash = hashText(`key ${i}`)
    assert.equal(one.balancer.pick(hash, null), two.pick(hash, null))
  }
})

test('hash shares keys by weight', () => {
  const weights = [1, 2, 3, 4]
  const { balancer, endpoints } = rebuilt(new HashBalancer(null), weights)
  const counts = shares(balancer, endpoints, 100_000, (i) => hashText(`10.0.${i >> 8}.${i & 255}`))
  for (const [i, weight] of weights.entries()) assertShare(counts[i]!, 100_000, weight / 10, 0.05)
})

test('hash spreads plain small numbers as well as mixed ones', () => {
  const { balancer, endpoints } = rebuilt(new HashBalancer(null), [1, 1, 1, 1])
  for (const count of shares(balancer, endpoints, 20_000, (i) => i)) assertShare(count, 20_000, 0.25, 0.1)
})

test('an endpoint that leaves or comes back moves only its own keys', () => {
  const { balancer, endpoints } = rebuilt(new HashBalancer(null), new Array(10).fill(1))
  const before = Array.from({ length: 20_000 }, (_, i) => balancer.pick(mix(i), null))
  const left = endpoints.filter((one) => one !== endpoints[3])
  balancer.rebuild(left, new Float64Array(9).fill(1))
  let moved = 0
  for (let i = 0; i < before.length; i++) {
    const now = balancer.pick(mix(i), null)
    if (before[i] === endpoints[3]) {
      moved++
      assert.notEqual(now, endpoints[3])
    } else assert.equal(now, before[i])
  }
  assertShare(moved, 20_000, 0.1, 0.1)
  balancer.rebuild(endpoints, new Float64Array(10).fill(1))
  for (let i = 0; i < before.length; i++) assert.equal(balancer.pick(mix(i), null), before[i])
})

test('the keys of an endpoint that leaves spread over all others', () => {
  const { balancer, endpoints } = rebuilt(new HashBalancer(null), new Array(5).fill(1))
  const keys = Array.from({ length: 50_000 }, (_, i) => mix(i)).filter(
    (key) => balancer.pick(key, null) === endpoints[0],
  )
  balancer.rebuild(endpoints.slice(1), new Float64Array(4).fill(1))
  for (const other of endpoints.slice(1)) {
    const count = keys.filter((key) => balancer.pick(key, null) === other).length
    assertShare(count, keys.length, 0.25, 0.15)
  }
})

test('a retry by hash goes to the endpoint that would own the key if the first were gone', () => {
  const { balancer, endpoints } = rebuilt(new HashBalancer(null), [1, 1, 1])
  for (let i = 0; i < 200; i++) {
    const first = balancer.pick(mix(i), null)
    const other = new HashBalancer(null)
    other.rebuild(
      endpoints.filter((one) => one !== first),
      Float64Array.of(1, 1),
    )
    assert.equal(balancer.pick(mix(i), first), other.pick(mix(i), null))
  }
})

test('a load bound moves the requests of one hot key on to others', () => {
  const { balancer, endpoints } = rebuilt(new HashBalancer(1.25), [1, 1, 1, 1])
  for (let i = 0; i < 400; i++) balancer.pick(42, null).started()
  const running = endpoints.map((one) => one.inFlight)
  assert.ok(Math.max(...running) <= 125, `${running}`)
  assert.equal(Math.max(...running), balancer.pick(42, null).inFlight, 'the owner is filled first')
})

test('each balancer avoids the endpoint of the failed attempt', () => {
  const all: Balancer[] = [
    new RoundRobinBalancer(seededRandom(1)),
    new LeastRequestsBalancer(seededRandom(1)),
    new LatencyBalancer(seededRandom(1), () => 0),
    new HashBalancer(null),
    new HashBalancer(1.1),
  ]
  let ran = 0
  for (const balancer of all) {
    for (const weights of [
      [1, 1],
      [3, 1, 1],
      [1, 1, 1],
    ]) {
      const { endpoints } = rebuilt(balancer, weights)
      for (const avoid of endpoints) {
        for (let i = 0; i < 200; i++) assert.notEqual(balancer.pick(mix(i), avoid), avoid, balancer.constructor.name)
        ran++
      }
    }
  }
  assert.equal(ran, 5 * 8)
})

function rebuilt<B extends Balancer>(
  balancer: B,
  weights: number[],
): { balancer: B; endpoints: Endpoint[]; cells: UpstreamCells } {
  const cells = createUpstreamCells(0, 64, 2)
  const endpoints = weights.map((weight, slot) => endpoint(slot, weight, cells, 0))
  balancer.rebuild(endpoints, Float64Array.from(weights))
  return { balancer, endpoints, cells }
}

function endpoint(slot: number, weight: number, cells: UpstreamCells, thread: number): Endpoint {
  const host = `10.0.0.${slot + 1}`
  const spec = { key: `http://${host}`, label: `${host}:80`, secure: false, host, port: 80, unixPath: null }
  const observer = { observe: () => {}, failed: () => {} }
  assert.equal(cells.words[cells.slotAt(slot) + Slot.EJECTIONS], 0)
  return new Endpoint({ ...spec, address: host, weight, zone: null, slot }, cells, thread, observer)
}

function shares(balancer: Balancer, endpoints: Endpoint[], picks: number, hash = (i: number) => i): number[] {
  const counts = endpoints.map(() => 0)
  for (let i = 0; i < picks; i++) counts[endpoints.indexOf(balancer.pick(hash(i), null))]!++
  return counts
}

/** Seeded, so exact from run to run; the tolerance is of the share. */
function assertShare(count: number, of: number, share: number, tolerance = 0.03): void {
  assert.ok(Math.abs(count / of - share) <= share * tolerance, `${count} of ${of} is not ${share}`)
}
