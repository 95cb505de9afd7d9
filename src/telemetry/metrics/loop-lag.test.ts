import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetricBook } from './book.ts'
import { watchLoopLag } from './loop-lag.ts'
import { Recorder } from './recorder.ts'

test('a loop that was busy shows its lag', async () => {
  const book = new MetricBook()
  const stop = watchLoopLag(new Recorder(book.grant(3)), 10)
  const busyUntil = performance.now() + 60
  while (performance.now() < busyUntil);
  const deadline = Date.now() + 2000
  while ((book.read().loopLags[0]?.[1] ?? 0) === 0 && Date.now() < deadline)
    await new Promise((resolve) => setImmediate(resolve))
  const [thread, ms] = book.read().loopLags[0] ?? assert.fail('no thread')
  stop()
  assert.equal(thread, 3)
  assert.ok(ms > 30 && ms < 2000, `${ms} ms`)
})
