import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { EndpointSpec } from '../endpoints/endpoint-spec.ts'
import { createUpstreamCells, Header, Health, Slot, Thread, TICK_MS, UpstreamCells } from './cells.ts'
import { clearThread } from './clear-thread.ts'
import { sharedNowMs } from './clock.ts'
import { healthOf, isEjected, setHealth } from './endpoint-cells.ts'
import { readGauges } from './gauges.ts'
import { SlotTable } from './slot-table.ts'

test('no two facts share a word', () => {
  const cells = createUpstreamCells(0, 20, 5)
  const seen = new Set<number>([0, 1])
  const claim = (word: number): void => {
    assert.ok(!seen.has(word) && word < cells.words.length, `word ${word}`)
    seen.add(word)
  }
  for (const word of Object.values(Header)) claim(word)
  for (let slot = 0; slot < 20; slot++) for (const field of Object.values(Slot)) claim(cells.slotAt(slot) + field)
  for (let thread = 0; thread < 5; thread++) {
    for (const field of Object.values(Thread)) claim(cells.threadAt(thread) + field)
    for (let slot = 0; slot < 20; slot++) claim(cells.inFlightAt(thread, slot))
  }
  assert.equal(seen.size, 2 + 11 + 20 * 6 + 5 * 4 + 5 * 20)
  assert.throws(() => cells.slotAt(20), RangeError)
  assert.throws(() => cells.threadAt(5), RangeError)
})

test('another view of the same buffer sees the same facts', () => {
  const cells = createUpstreamCells(5000, 4, 2)
  const other = new UpstreamCells(cells.buffer)
  setHealth(cells, 3, Health.DOWN, 5000)
  assert.equal(healthOf(other, 3), Health.DOWN)
  assert.equal(other.tick(5000), cells.tick(5000))
  assert.equal(other.maxThreads, 2)
})

test('ticks begin at 1 and turn every 100 ms', () => {
  const cells = createUpstreamCells(1_000_000.5, 1, 1)
  assert.equal(cells.tick(1_000_000.5), 1)
  assert.equal(cells.tick(1_000_000.5 + TICK_MS - 1), 1)
  assert.equal(cells.tick(1_000_000.5 + TICK_MS), 2)
  assert.equal(cells.tick(0), 1)
  assert.equal(cells.tickStartMs(2), 1_000_000.5 + TICK_MS)
})

test('the shared clock reads the same in another thread', async () => {
  const source = `
    import { parentPort } from 'node:worker_threads'
    const { sharedNowMs } = await import(${JSON.stringify(new URL('./clock.ts', import.meta.url).href)})
    parentPort.postMessage(sharedNowMs())`
  const before = sharedNowMs()
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
  const there = await new Promise<number>((resolve) => worker.once('message', resolve))
  assert.ok(there >= before - 1 && there <= sharedNowMs() + 1, `${before} ${there}`)
  await worker.terminate()
})

test('a change of health changes the version, the same health does not', () => {
  const cells = createUpstreamCells(0, 2, 1)
  const version = (): number => cells.words[Header.VERSION]!
  assert.equal(setHealth(cells, 1, Health.DOWN, 0), true)
  const changed = version()
  assert.equal(setHealth(cells, 1, Health.DOWN, 0), false)
  assert.equal(version(), changed)
})

test('an endpoint that comes back starts slow and is not ejected any more', () => {
  const cells = createUpstreamCells(0, 2, 1)
  const at = cells.slotAt(0)
  setHealth(cells, 0, Health.DOWN, 0)
  cells.words[at + Slot.EJECTED_UNTIL] = 900
  cells.words[at + Slot.FAILURES] = 3
  assert.ok(isEjected(cells, 0, 5))
  setHealth(cells, 0, Health.UP, 1000)
  assert.ok(!isEjected(cells, 0, 5))
  assert.equal(cells.words[at + Slot.FAILURES], 0)
  assert.equal(cells.words[at + Slot.HEALTHY_FROM], cells.tick(1000))
})

test('keys keep their slots; only later ones start slow', () => {
  const cells = createUpstreamCells(0, 4, 1)
  const table = new SlotTable(cells)
  assert.deepEqual(table.assign(['a', 'b'], 0), [0, 1])
  setHealth(cells, 1, Health.DOWN, 0)
  assert.deepEqual(table.assign(['b', 'c', 'a'], 1000), [1, 2, 0])
  assert.equal(healthOf(cells, 1), Health.DOWN)
  const healthyFrom = [0, 1, 2].map((slot) => cells.words[cells.slotAt(slot) + Slot.HEALTHY_FROM])
  assert.deepEqual(healthyFrom, [0, 0, cells.tick(1000)])
})

test('a freed slot is taken as late as possible, clean, and not while something runs on it', () => {
  const cells = createUpstreamCells(0, 3, 1)
  const table = new SlotTable(cells)
  table.assign(['a', 'b'], 0)
  setHealth(cells, 0, Health.DOWN, 0)
  cells.words[cells.slotAt(1) + Slot.IN_FLIGHT] = 1
  assert.deepEqual(table.assign(['c'], 0), [2])
  assert.deepEqual(table.assign(['c', 'd', 'e'], 0), [2, 0, -1])
  assert.equal(healthOf(cells, 0), Health.UNKNOWN)
  cells.words[cells.slotAt(1) + Slot.IN_FLIGHT] = 0
  assert.deepEqual(table.assign(['c', 'd', 'e', 'e'], 0), [2, 0, 1, 1])
})

test('the requests of a dead thread are no longer in flight, those of others still are', () => {
  const cells = createUpstreamCells(0, 2, 3)
  for (const [thread, slot, count] of [
    [0, 0, 2],
    [1, 0, 5],
    [1, 1, 1],
  ] as const) {
    cells.words[cells.inFlightAt(thread, slot)]! += count
    cells.words[cells.slotAt(slot) + Slot.IN_FLIGHT]! += count
  }
  clearThread(cells, 1)
  clearThread(cells, 1)
  const gauges = readGauges(cells, [spec(0), spec(1)], 0)
  assert.deepEqual(
    gauges.endpoints.map((endpoint) => endpoint.inFlight),
    [2, 0],
  )
  assert.equal(gauges.inFlight, 2)
})

test('gauges show health, ejection and the absence of a limit', () => {
  const cells = createUpstreamCells(0, 2, 1)
  setHealth(cells, 0, Health.DOWN, 0)
  cells.words[cells.slotAt(1) + Slot.EJECTED_UNTIL] = 50
  cells.words[cells.slotAt(1) + Slot.EJECTIONS] = 2
  const gauges = readGauges(cells, [spec(0), spec(1)], 0)
  assert.equal(gauges.limit, null)
  const common = { address: '127.0.0.1', inFlight: 0 }
  assert.deepEqual(gauges.endpoints, [
    { endpoint: 'host:0', healthy: false, ejected: false, ejections: 0, ...common },
    { endpoint: 'host:1', healthy: true, ejected: true, ejections: 2, ...common },
  ])
})

function spec(slot: number): EndpointSpec {
  const address = '127.0.0.1'
  const common = { secure: false, host: 'host', port: 80, unixPath: null, address, weight: 1, zone: null }
  return { key: `k${slot}`, label: `host:${slot}`, slot, ...common }
}
