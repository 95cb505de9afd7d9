import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHeartbeat, Watchdog } from './heartbeat.ts'

function watch() {
  const memory = createHeartbeat(2)
  const seen: string[] = []
  const events = {
    onSilent: (slot: number, ms: number) => seen.push(`silent ${slot} ${ms}`),
    onLost: (slot: number, ms: number) => seen.push(`lost ${slot} ${ms}`),
  }
  return { beats: new Int32Array(memory), seen, watchdog: new Watchdog(memory, events, 0) }
}

test('a thread without a beat is reported once after 10 s and given up once after 60 s', () => {
  const { beats, seen, watchdog } = watch()
  for (let ms = 1000; ms <= 70_000; ms += 1000) {
    beats[1]++
    watchdog.check(ms)
  }
  assert.deepEqual(seen, ['silent 0 10000', 'lost 0 60000'])
})

test('a beat ends the silence', () => {
  const { beats, seen, watchdog } = watch()
  for (let ms = 1000; ms <= 70_000; ms += 1000) {
    beats[1]++
    if (ms % 9000 === 0) beats[0]++
    watchdog.check(ms)
  }
  assert.deepEqual(seen, [])
})

test('a process that was stopped as a whole does not blame its threads', () => {
  const { seen, watchdog } = watch()
  watchdog.check(1000)
  watchdog.check(120_000)
  watchdog.check(121_000)
  assert.deepEqual(seen, [])
})
