import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Serial } from './serial.ts'

test('a task starts when the one before it has ended, also when that one failed', async () => {
  const serial = new Serial()
  const seen: string[] = []
  let release = (): void => {}
  const first = serial.run(async () => {
    seen.push('first starts')
    await new Promise<void>((resolve) => {
      release = resolve
    })
    seen.push('first ends')
    throw new Error('failed')
  })
  const second = serial.run(async () => {
    seen.push('second')
    return 2
  })
  const caught = assert.rejects(first, /failed/)
  await new Promise((resolve) => setImmediate(resolve))
  release()
  await caught
  assert.equal(await second, 2)
  assert.deepEqual(seen, ['first starts', 'first ends', 'second'])
})
