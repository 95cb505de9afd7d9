/** How requests are shared among endpoints, seen from outside. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { eventually } from '../server-standin/process.ts'
import { type AskOptions, ask, askMany, tally } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { Puppet } from '../support/puppet.ts'

const ending = endOfFile()
let edge: RunningEdge
let port = 0
let a: Puppet
let b: Puppet
let c: Puppet
let d: Puppet

const yaml = (hashEndpoints: readonly string[]): string => `
listeners: { public: { address: '127.0.0.1:0', trustedProxies: [127.0.0.1/32] } }
zone: near
upstreams:
  rr: { balancer: round-robin, endpoints: ['${a.url}', '${b.url}', '${c.url}', '${d.url}'] }
  rr-weights: { balancer: round-robin, endpoints: [{ url: '${a.url}', weight: 5 }, { url: '${b.url}', weight: 2 }, '${c.url}', { url: '${d.url}', weight: 0 }] }
  least: { endpoints: ['${a.url}', '${b.url}'] }
  least-weights: { endpoints: [{ url: '${c.url}', weight: 3 }, '${d.url}'] }
  latency: { balancer: latency, endpoints: ['${a.url}', '${b.url}'] }
  by-client: { balancer: hash, hash: { by: client }, endpoints: [${hashEndpoints.map((url) => `'${url}'`).join(', ')}] }
  by-header: { balancer: hash, hash: { by: 'header:X-Tenant' }, endpoints: ['${a.url}', '${b.url}', '${c.url}', '${d.url}'] }
  by-cookie: { balancer: hash, hash: { by: 'cookie:session' }, endpoints: ['${a.url}', '${b.url}', '${c.url}', '${d.url}'] }
  by-query: { balancer: hash, hash: { by: 'query:user' }, endpoints: ['${a.url}', '${b.url}', '${c.url}', '${d.url}'] }
  zones: { healthCheck: { interval: 100ms, unhealthyAfter: 2, healthyAfter: 1 }, endpoints: [{ url: '${a.url}', zone: near }, { url: '${b.url}', zone: near }, { url: '${c.url}', zone: far }] }
  slow: { balancer: round-robin, slowStart: 60s, healthCheck: { interval: 100ms, unhealthyAfter: 1, healthyAfter: 1 }, endpoints: ['${c.url}', '${d.url}'] }
  named: { endpoints: ['http://localhost:${a.port}'] }
routes:
${['rr', 'rr-weights', 'least', 'least-weights', 'latency', 'by-client', 'by-header', 'by-cookie', 'by-query', 'zones', 'slow', 'named'].map((name) => `  - { path: /${name}, upstream: ${name} }`).join('\n')}
telemetry: { accessLog: off }
`

before(async () => {
  a = await Puppet.start(ending, 'a')
  b = await Puppet.start(ending, 'b')
  c = await Puppet.start(ending, 'c')
  d = await Puppet.start(ending, 'd')
  edge = new RunningEdge(ending)
  await edge.start(yaml([a.url, b.url, c.url, d.url]), '--threads', '1')
  port = edge.port('public')
})

const spread = async (
  path: string,
  count: number,
  width = 1,
  options: (n: number) => AskOptions = () => ({}),
): Promise<Record<string, number>> => {
  const answers = await askMany(port, () => path, count, width, options)
  for (const { status } of answers) assert.equal(status, 200)
  return tally(answers.map((answer) => answer.body))
}

test('round-robin goes round, by weight', async () => {
  assert.deepEqual(await spread('/rr', 40), { a: 10, b: 10, c: 10, d: 10 })
  assert.deepEqual(await spread('/rr-weights', 40), { a: 25, b: 10, c: 5 })
})

test('least-requests keeps away from an endpoint that is busy, and obeys weights', async () => {
  a.delayMs = 150
  const counts = await spread('/least', 120, 8)
  a.delayMs = 0
  assert.ok(counts.b > 3 * (counts.a ?? 0), JSON.stringify(counts))
  assert.ok((counts.a ?? 0) > 0, JSON.stringify(counts))
  const weighted = await spread('/least-weights', 200)
  assert.ok(weighted.c > 1.8 * weighted.d && weighted.d > 15, JSON.stringify(weighted))
})

test('latency prefers the quick endpoint, and still asks the slow one', async () => {
  a.delayMs = 60
  const counts = await spread('/latency', 80, 2)
  a.delayMs = 0
  assert.ok(counts.b > 4 * (counts.a ?? 0), JSON.stringify(counts))
})

test('a hash sends what has the same key to the same endpoint, all of them in use', async () => {
  const kinds: [string, (key: string) => [string, AskOptions]][] = [
    ['client', (key) => ['/by-client', { headers: { 'X-Forwarded-For': `10.0.0.${key}` } }]],
    ['header', (key) => ['/by-header', { headers: { 'X-Tenant': `t-${key}` } }]],
    ['cookie', (key) => ['/by-cookie', { headers: { Cookie: `x=1; session=s${key}; y=2` } }]],
    ['query', (key) => [`/by-query?a=b&user=${key}`, {}]],
  ]
  for (const [kind, make] of kinds) {
    const owner = async (key: string): Promise<string> => {
      const [path, options] = make(key)
      return (await ask(port, path, options)).body
    }
    const keys = Array.from({ length: 40 }, (_, n) => String(n + 1))
    const first = await Promise.all(keys.map(owner))
    assert.deepEqual(await Promise.all(keys.map(owner)), first, kind)
    assert.equal(new Set(first).size, 4, `${kind}: ${JSON.stringify(tally(first))}`)
  }
  assert.equal(kinds.length, 4)
})

test('an endpoint that leaves by a reload moves only its own keys', async () => {
  const keys = Array.from({ length: 60 }, (_, n) => `10.9.0.${n}`)
  const owner = async (key: string): Promise<string> =>
    (await ask(port, '/by-client', { headers: { 'X-Forwarded-For': key } })).body
  const first = await Promise.all(keys.map(owner))
  await edge.reload(yaml([a.url, b.url, c.url]))
  const second = await Promise.all(keys.map(owner))
  for (const [n, before] of first.entries()) if (before !== 'd') assert.equal(second[n], before, keys[n])
  assert.ok(!second.includes('d'))
})

test('the own zone comes first, others only when nobody there is healthy', async () => {
  const near = await spread('/zones', 30)
  assert.deepEqual(Object.keys(near).sort(), ['a', 'b'])
  a.health = 500
  await eventually('only b', async () => ((await spread('/zones', 20)).b === 20 ? true : null))
  b.health = 500
  await eventually('the other zone', async () => ((await spread('/zones', 5)).c === 5 ? true : null))
  a.health = 200
  b.health = 200
  await eventually('back home', async () => ((await spread('/zones', 20)).c === undefined ? true : null))
})

test('an endpoint that comes back starts slowly', async () => {
  assert.deepEqual(await spread('/slow', 20), { c: 10, d: 10 })
  d.health = 503
  await eventually('d is out', async () => ((await spread('/slow', 5)).c === 5 ? true : null))
  d.health = 200
  await eventually('d is back', async () => ((await spread('/slow', 12)).d ? true : null))
  const counts = await spread('/slow', 110)
  assert.ok(counts.d >= 5 && counts.d <= 25, JSON.stringify(counts))
})

test('an endpoint by name is resolved, and the address that answers is used', async () => {
  const answers = await askMany(port, () => '/named', 12, 1)
  assert.deepEqual(tally(answers.map(({ status, body }) => `${status} ${body}`)), { '200 a': 12 })
})
