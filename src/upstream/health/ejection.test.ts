import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createUpstreamCells, Health } from '../shared/cells.ts'
import { isEjected, setHealth } from '../shared/endpoint-cells.ts'
import { Ejection, isFailureStatus } from './ejection.ts'

test('only the statuses that speak of the endpoint itself are failures', () => {
  const failures = Array.from({ length: 500 }, (_, i) => 100 + i).filter(isFailureStatus)
  assert.deepEqual(failures, [502, 503, 504])
})

test('maxShare bounds how many are out at once, and above 0 lets at least one go', () => {
  const cases = [
    { endpoints: 4, maxShare: 0.5, out: 2 },
    { endpoints: 3, maxShare: 0.5, out: 1 },
    { endpoints: 3, maxShare: 0.1, out: 1 },
    { endpoints: 3, maxShare: 1, out: 2 },
    { endpoints: 1, maxShare: 1, out: 0 },
    { endpoints: 2, maxShare: 0, out: 0 },
  ]
  let ran = 0
  for (const { endpoints, maxShare, out } of cases) {
    const { ejection, slots } = setUp(endpoints, maxShare)
    const ejected = slots.filter((slot) => ejection.failed(slot, slots) + ejection.failed(slot, slots) > 0)
    assert.equal(ejected.length, out, JSON.stringify({ endpoints, maxShare }))
    ran++
  }
  assert.equal(ran, 6)
})

test('each ejection lasts longer, up to ten times, and good behaviour is remembered', () => {
  const { ejection, slots, at } = setUp(2, 0.5)
  const eject = (): number => {
    const forMs = ejection.failed(0, slots) + ejection.failed(0, slots)
    at.ms += forMs + 100
    return forMs
  }
  const lengths = Array.from({ length: 12 }, eject)
  assert.deepEqual(lengths, [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000, 10_000, 10_000])
  at.ms += 10_500
  assert.equal(eject(), 1000)
})

test('failures that come in after the ejection change nothing', () => {
  const { ejection, slots, cells, at } = setUp(3, 1)
  ejection.failed(0, slots)
  assert.equal(ejection.failed(0, slots), 1000)
  for (let i = 0; i < 10; i++) assert.equal(ejection.failed(0, slots), 0)
  at.ms += 1100
  assert.ok(!isEjected(cells, 0, cells.tick(at.ms)))
  assert.equal(ejection.failed(0, slots), 0, 'counted from one again')
})

test('endpoints that the prober found down do not count as available', () => {
  const { ejection, slots, cells } = setUp(2, 1)
  setHealth(cells, 1, Health.DOWN, 0)
  for (let i = 0; i < 10; i++) assert.equal(ejection.failed(0, slots), 0)
  setHealth(cells, 1, Health.UP, 0)
  assert.equal(ejection.failed(0, slots), 1000)
})

test('an endpoint that left the list is not ejected: its slot may be given to another', () => {
  const { ejection } = setUp(3, 1)
  for (let i = 0; i < 10; i++) assert.equal(ejection.failed(2, [0, 1]), 0)
})

function setUp(endpoints: number, maxShare: number) {
  const at = { ms: 0 }
  const cells = createUpstreamCells(0, 8, 1)
  const ejection = new Ejection(cells, 0, { consecutiveFailures: 2, forMs: 1000, maxShare }, () => at.ms)
  return { at, cells, ejection, slots: Array.from({ length: endpoints }, (_, slot) => slot) }
}
