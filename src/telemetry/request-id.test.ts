import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { RequestIds } from './request-id.ts'

test('an id is 20 characters of [0-9a-z] and no id comes twice', () => {
  const ids = new RequestIds()
  const seen = new Set<string>()
  for (let i = 0; i < 200_000; i++) {
    const id = ids.next()
    if (!/^[0-9a-z]{20}$/.test(id)) assert.fail(id)
    seen.add(id)
  }
  assert.equal(seen.size, 200_000)
})

test('two generators share no id, also in two threads', async () => {
  const here = new RequestIds()
  const also = new RequestIds()
  const url = new URL('./request-id.ts', import.meta.url).href
  const code = `import(${JSON.stringify(url)}).then(({ RequestIds }) => {
    const ids = new RequestIds()
    require('node:worker_threads').parentPort.postMessage(Array.from({ length: 1000 }, () => ids.next()))
  })`
  const worker = new Worker(code, { eval: true })
  const theirs = await new Promise<string[]>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  await worker.terminate()
  const seen = new Set(theirs)
  for (let i = 0; i < 1000; i++) seen.add(here.next()).add(also.next())
  assert.equal(seen.size, 3000)
})

test('consecutive ids give away no order: pairs come shuffled, and blocks are far from each other', () => {
  const ids = new RequestIds()
  const all = Array.from({ length: 1296 * 4 }, () => ids.next())
  const steps = all.map(
    (id, i) => Number.parseInt(id.slice(18), 36) - Number.parseInt((all[i - 1] ?? id).slice(18), 36),
  )
  assert.ok(steps.filter((step) => Math.abs(step) === 1).length < 60, 'neighbouring pairs follow each other')
  const blocks = [...new Set(all.map((id) => Number.parseInt(id.slice(12, 18), 36)))]
  assert.ok(blocks.length === 4 || blocks.length === 5, `${blocks.length} blocks`)
  for (const [i, block] of blocks.entries()) {
    if (i > 0) assert.ok(Math.abs(block - (blocks[i - 1] as number)) > 1000, `blocks ${blocks}`)
  }
})

test('every character comes about equally often', () => {
  const count = new Map<string, number>()
  for (let i = 0; i < 3000; i++) {
    for (const c of new RequestIds().next().slice(0, 12)) count.set(c, (count.get(c) ?? 0) + 1)
  }
  assert.equal(count.size, 36)
  for (const [c, n] of count) assert.ok(n > 700 && n < 1300, `${c} came ${n} times of about 1000`)
})
