import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Policy } from '../core/policy.ts'
import { compileChain, POLICIES, POLICY_ORDER } from './registry.ts'

const request = (name: string): Policy => ({ name, onRequestHeaders: () => undefined })
const response = (name: string): Policy => ({ name, onResponseHeaders: () => undefined })

test('policies run in registry order on requests and in reverse on responses, whatever order they come in', () => {
  const chain = compileChain([
    { ...request('headers'), onResponseHeaders: () => undefined },
    response('cors'),
    request('waf'),
    { ...request('access'), onLog: () => undefined },
    { name: 'guard', onUpstreamRequest: () => undefined },
  ])
  const names = (list: readonly Policy[] | null) => list?.map((policy) => policy.name)
  assert.deepEqual(names(chain.requestHeaders), ['access', 'waf', 'headers'])
  assert.deepEqual(names(chain.responseHeaders), ['headers', 'cors'])
  assert.deepEqual(names(chain.upstreamRequest), ['guard'])
  assert.deepEqual(names(chain.log), ['access'])
})

test('a hook that no policy uses is null', () => {
  assert.deepEqual(compileChain([]), { requestHeaders: null, upstreamRequest: null, responseHeaders: null, log: null })
  assert.equal(compileChain([request('waf')]).responseHeaders, null)
})

test('several policies of one name keep their order', () => {
  const [first, second] = [request('rateLimit'), request('rateLimit')]
  const list = compileChain([request('waf'), first, second]).requestHeaders
  assert.equal(list?.[0], first)
  assert.equal(list?.[1], second)
})

test('a policy that is not in the registry is an error', () => {
  assert.throws(() => compileChain([request('nobody')]), { name: 'RangeError', message: /"nobody"/ })
})

test('every policy that is built has its place in the order, once', () => {
  assert.equal(new Set(POLICY_ORDER).size, POLICY_ORDER.length)
  for (const name of Object.keys(POLICIES)) assert.ok((POLICY_ORDER as readonly string[]).includes(name), name)
})
