import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetryBudget } from './retry-budget.ts'

test('retries are a share of the requests of the last ten seconds', () => {
  const at = { ms: 5000 }
  const budget = new RetryBudget(0.2, 0, () => at.ms)
  assert.equal(budget.tryRetry(), false)
  for (let i = 0; i < 100; i++) budget.request()
  assert.equal(granted(budget, 50), 20)
  at.ms += 9000
  assert.equal(granted(budget, 50), 0, 'both are still in the window')
  for (let i = 0; i < 10; i++) budget.request()
  assert.equal(granted(budget, 50), 2)
  at.ms += 1000
  assert.equal(granted(budget, 50), 0, 'requests and retries of the first second left together')
  at.ms += 60_000
  for (let i = 0; i < 10; i++) budget.request()
  assert.equal(granted(budget, 50), 2)
})

test('the floor lets few requests be repeated freely', () => {
  const at = { ms: 0 }
  const budget = new RetryBudget(0.1, 3, () => at.ms)
  budget.request()
  assert.equal(granted(budget, 100), 30)
  at.ms += 10_000
  assert.equal(granted(budget, 100), 30)
})

test('100 % lifts the budget and 0 % allows nothing', () => {
  const all = new RetryBudget(1, 0, () => 0)
  assert.equal(granted(all, 1000), 1000)
  const none = new RetryBudget(0, 3, () => 0)
  for (let i = 0; i < 1000; i++) none.request()
  assert.equal(granted(none, 10), 0)
})

function granted(budget: RetryBudget, tries: number): number {
  let count = 0
  for (let i = 0; i < tries; i++) if (budget.tryRetry()) count++
  return count
}
