import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RestartPolicy } from './restart-policy.ts'

test('a thread that keeps dying is started again after 100 ms, doubling to 5 s', () => {
  const policy = new RestartPolicy()
  const delays = Array.from({ length: 8 }, () => policy.death(0, 1000))
  assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000])
})

test('after a quiet minute a death is repaired within 100 ms again', () => {
  const policy = new RestartPolicy()
  policy.death(0, 0)
  policy.death(0, 10)
  assert.equal(policy.death(0, 60_010), 100)
})

test('the delay of one thread is not that of another', () => {
  const policy = new RestartPolicy()
  policy.death(0, 0)
  assert.equal(policy.death(1, 0), 100)
})

test('more deaths than the limit within a minute end the process, fewer per minute never do', () => {
  const policy = new RestartPolicy(3)
  assert.deepEqual(
    [0, 1, 2, 3].map((ms) => policy.death(0, ms) !== null),
    [true, true, true, false],
  )
  const patient = new RestartPolicy(3)
  for (let minute = 0; minute < 50; minute++) assert.notEqual(patient.death(0, minute * 60_000), null)
})
