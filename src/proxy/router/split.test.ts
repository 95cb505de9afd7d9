import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Upstream } from '../../core/upstream.ts'
import { compileSplit } from './split.ts'

const upstream = (name: string): Upstream => ({ name, forward: () => assert.fail('not forwarded here') })
const A = upstream('a')
const B = upstream('b')
const C = upstream('c')

test('a split gives each upstream its share', () => {
  const split = compileSplit([
    { upstream: A, weight: 7 },
    { upstream: B, weight: 2 },
    { upstream: C, weight: 1 },
  ])
  const counts = new Map<string, number>()
  for (let i = 0; i < 1000; i++) {
    const { name } = split.choose(i / 1000)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  assert.deepEqual(
    [...counts],
    [
      ['a', 700],
      ['b', 200],
      ['c', 100],
    ],
  )
})

test('a split always gives an upstream, at the borders too', () => {
  const split = compileSplit([
    { upstream: A, weight: 0.1 },
    { upstream: B, weight: 0.2 },
  ])
  assert.equal(split.choose(0).name, 'a')
  assert.equal(split.choose(1 - 2 ** -53).name, 'b')
  assert.equal(split.choose(1).name, 'b')
  assert.equal(compileSplit([{ upstream: A, weight: 3 }]).choose(0.999).name, 'a')
})

test('a split without upstreams or with impossible weights is an error when it is loaded', () => {
  assert.throws(() => compileSplit([]), { name: 'RangeError' })
  for (const weight of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => compileSplit([{ upstream: A, weight }]), { name: 'RangeError' })
  }
})
