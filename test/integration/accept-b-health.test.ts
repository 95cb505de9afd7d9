/** Active checks and passive ejection, and what they do to traffic. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { eventually } from '../server-standin/process.ts'
import { ask, askMany, tally } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { Puppet } from '../support/puppet.ts'
import { readMetrics } from '../support/read-metrics.ts'

const ending = endOfFile()
let edge: RunningEdge
let port = 0
let metrics = ''
const puppets: Record<string, Puppet> = {}
const NAMES = ['up1', 'up2', 't1', 't2', 'e1', 'e2', 'e3', 'e4', 'f1', 'f2', 'g1', 'g2', 'solo']

before(async () => {
  for (const name of NAMES) puppets[name] = await Puppet.start(ending, name)
  const urls = (...names: string[]): string => names.map((name) => `'${puppets[name].url}'`).join(', ')
  edge = new RunningEdge(ending)
  const process = await edge.start(
    `
listeners: { public: { address: '127.0.0.1:0' } }
upstreams:
  checked: { balancer: round-robin, endpoints: [${urls('up1', 'up2')}], ejection: off, healthCheck: { interval: 150ms, timeout: 500ms, healthyAfter: 2, unhealthyAfter: 3 } }
  tcp-checked: { balancer: round-robin, endpoints: [${urls('t1', 't2')}], ejection: off, healthCheck: { path: none, interval: 100ms, healthyAfter: 1, unhealthyAfter: 1 } }
  ejecting: { balancer: round-robin, endpoints: [${urls('e1', 'e2', 'e3', 'e4')}], ejection: { consecutiveFailures: 5, for: 1s, maxShare: 50% } }
  last: { balancer: round-robin, endpoints: [${urls('f1', 'f2')}], ejection: { consecutiveFailures: 2, for: 60s, maxShare: 100% } }
  never: { balancer: round-robin, endpoints: [${urls('g1', 'g2')}], ejection: off }
  solo: { endpoints: [${urls('solo')}], ejection: { consecutiveFailures: 1, for: 60s, maxShare: 100% } }
routes:
${['checked', 'tcp-checked', 'ejecting', 'last', 'never', 'solo'].map((name) => `  - { path: /${name}, upstream: ${name} }`).join('\n')}
telemetry: { accessLog: { path: access.jsonl }, metrics: { address: '127.0.0.1:0' } }
`,
    '--threads',
    '2',
  )
  port = edge.port('public')
  metrics = (await process.errLine(/metrics at (http:[^"\s]+)/))[1]
})

const spread = async (path: string, count: number, width = 1): Promise<Record<string, number>> => {
  const answers = await askMany(port, () => path, count, width)
  return tally(answers.map(({ status, body }) => (status === 200 ? body : String(status))))
}

const event = (text: RegExp): Promise<RegExpMatchArray> => edge.process.errLine(text)

test('one prober checks for all threads', async () => {
  const before = puppets.up1.probes
  const started = performance.now()
  await eventually('8 checks', async () => (puppets.up1.probes >= before + 8 ? true : null))
  // Twice as quick with a prober in each thread; a busy machine only makes it slower.
  assert.ok(performance.now() - started > 7 * 150 * 0.85, 'checks come too often')
})

test('three failed checks take an endpoint out, two good ones bring it back', async () => {
  const { up1 } = puppets
  assert.deepEqual(Object.keys(await spread('/checked', 20, 4)).sort(), ['up1', 'up2'])
  const from = up1.probes
  up1.health = 500
  await event(new RegExp(`endpoint 127.0.0.1:${up1.port}.* is unhealthy: status 500`))
  assert.ok(up1.probes - from >= 3 && up1.probes - from <= 5, `${up1.probes - from} checks`)
  assert.deepEqual(await spread('/checked', 20, 4), { up2: 20 })
  const out = await readMetrics(metrics)
  assert.equal(out.value('sallyport_endpoint_healthy', { upstream: 'checked', endpoint: `127.0.0.1:${up1.port}` }), 0)
  assert.equal(
    out.value('sallyport_endpoint_healthy', { upstream: 'checked', endpoint: `127.0.0.1:${puppets.up2.port}` }),
    1,
  )
  const back = up1.probes
  up1.health = 204
  await event(new RegExp(`endpoint 127.0.0.1:${up1.port}[^}]* is healthy`))
  assert.ok(up1.probes - back >= 2 && up1.probes - back <= 4, `${up1.probes - back} checks`)
  assert.deepEqual(Object.keys(await spread('/checked', 20, 4)).sort(), ['up1', 'up2'])
})

test('a check that gets no answer in time has failed', async () => {
  const { up2 } = puppets
  up2.health = 'hang'
  await event(new RegExp(`endpoint 127.0.0.1:${up2.port}.* is unhealthy: timeout`))
  assert.deepEqual(await spread('/checked', 10), { up1: 10 })
  up2.health = 200
  await event(new RegExp(`endpoint 127.0.0.1:${up2.port}[^}]* is healthy`))
})

test('a check without a path is a connection', async () => {
  const { t1 } = puppets
  assert.equal(t1.probes, 0)
  await t1.close()
  await event(new RegExp(`endpoint 127.0.0.1:${t1.port}.* is unhealthy`))
  assert.deepEqual(await spread('/tcp-checked', 10), { t2: 10 })
  await t1.open()
  await event(new RegExp(`endpoint 127.0.0.1:${t1.port}[^}]* is healthy`))
  assert.deepEqual(Object.keys(await spread('/tcp-checked', 20)).sort(), ['t1', 't2'])
})

test('when all are unhealthy the answer is 503 at once, and no endpoint is tried', async () => {
  const { t1, t2 } = puppets
  await t1.close()
  await t2.close()
  const { status, headers, body } = await eventually('503', async () => {
    const answer = await ask(port, '/tcp-checked')
    return answer.status === 503 ? answer : null
  })
  assert.equal((JSON.parse(body) as { code: string }).code, 'upstream-unavailable')
  assert.equal(headers['retry-after'], '1')
  const line = await edge.line('the refusal', ({ outcome }) => outcome === 'upstream-unavailable')
  assert.deepEqual([line.status, line.endpoint, line.attempts, line.upstream], [503, null, 0, 'tcp-checked'])
  assert.equal(status, 503)
})

test('five failures in a row eject an endpoint, for a while, and at most half of them', async () => {
  const { e1, e2, e3, e4 } = puppets
  e1.behaviour = 503
  await spread('/ejecting', 60)
  assert.equal(e1.hits, 5)
  assert.match(edge.process.err, new RegExp(`endpoint 127.0.0.1:${e1.port} is ejected`))
  e1.behaviour = 200
  await eventually('e1 is back', async () => ((await spread('/ejecting', 8)).e1 ? true : null))
  assert.ok(e1.hits > 5)
  for (const bad of [e2, e3, e4]) bad.behaviour = 503
  await spread('/ejecting', 120, 2)
  const counts = await spread('/ejecting', 40, 2)
  // Two are out; of the other two one still fails.
  assert.ok((counts.e1 ?? 0) >= 15 && (counts['503'] ?? 0) >= 15, JSON.stringify(counts))
  for (const bad of [e2, e3, e4]) bad.behaviour = 200
})

test('the last endpoint is never ejected', async () => {
  const { f1, f2, solo } = puppets
  f1.behaviour = 503
  f2.behaviour = 'reset'
  solo.behaviour = 502
  await spread('/last', 40, 2)
  const hits = f1.hits + f2.hits
  const counts = await spread('/last', 20)
  assert.equal(f1.hits + f2.hits, hits + 20)
  assert.equal(counts['200'], undefined)
  assert.deepEqual(await spread('/solo', 10), { 502: 10 })
  assert.equal(solo.hits, 10)
  solo.behaviour = 200
  assert.deepEqual(await spread('/solo', 10), { solo: 10 })
})

test('500 and 4xx do not eject, and `off` never does', async () => {
  const { e1, g1 } = puppets
  await eventually('all back', async () => (Object.keys(await spread('/ejecting', 12)).length === 4 ? true : null))
  const before = e1.hits
  e1.behaviour = 500
  await spread('/ejecting', 40)
  assert.equal(e1.hits - before, 10)
  g1.behaviour = 503
  assert.deepEqual(await spread('/never', 40), { 503: 20, g2: 20 })
})

test('ejections are counted and shown', async () => {
  const page = await readMetrics(metrics)
  assert.equal(page.value('sallyport_upstream_ejections_total', { upstream: 'last' }), 1)
  assert.ok((page.value('sallyport_upstream_ejections_total', { upstream: 'ejecting' }) ?? 0) >= 3)
  const { f1, f2 } = puppets
  const ejected = [f1, f2].map(
    ({ port: at }) => page.value('sallyport_endpoint_ejected', { upstream: 'last', endpoint: `127.0.0.1:${at}` }) ?? -1,
  )
  assert.equal(ejected[0] + ejected[1], 1)
})
