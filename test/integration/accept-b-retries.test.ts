/** What is repeated at another endpoint, and what never is. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { freePort } from '../server-standin/real-edge.ts'
import { type Answer, ask, askMany, tally } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { type RawEndpoint, rawEndpoint } from '../support/endpoints.ts'
import { Puppet } from '../support/puppet.ts'

const ending = endOfFile()
let edge: RunningEdge
let port = 0
let good: Puppet
let closed: Puppet
let bad: Puppet
let worse: Puppet
let stale: RawEndpoint
let tag = 0

const ON = "on: [connect, reset, '502', '503']"

before(async () => {
  good = await Puppet.start(ending, 'good')
  closed = await Puppet.start(ending, 'closed')
  bad = await Puppet.start(ending, 'bad')
  worse = await Puppet.start(ending, 'worse')
  await closed.close()
  const gone = await freePort()
  // Answers the first request of a connection and breaks it at the second.
  stale = await rawEndpoint(ending, (connection) => {
    const requests = connection.received.toString('latin1').split('\r\n\r\n').length - 1
    if (requests > 1) connection.socket.destroy()
    else if (requests === 1) connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh')
  })
  edge = new RunningEdge(ending)
  const upstream = (name: string, endpoints: readonly string[], retry: string): string =>
    `  ${name}: { balancer: ${name === 'three' ? 'least-requests' : 'round-robin'}, ejection: off, endpoints: [${endpoints.map((url) => `'${url}'`).join(', ')}]${retry === '' ? '' : `, retry: { ${retry} }`} }`
  const all = [
    upstream('connect', [closed.url, good.url], `attempts: 2, ${ON}, budget: 100%`),
    upstream('answers', [bad.url, good.url], `attempts: 2, ${ON}, budget: 100%`),
    upstream('only-connect', [bad.url, good.url], 'attempts: 2, on: [connect], budget: 100%'),
    upstream('three', [bad.url, worse.url, closed.url], `attempts: 3, ${ON}, budget: 100%`),
    upstream('one', [bad.url, worse.url], `attempts: 1, ${ON}, budget: 100%`),
    upstream('none', [closed.url, good.url], ''),
    upstream('budget', [bad.url, worse.url], `attempts: 2, ${ON}, budget: 20%`),
    upstream('no-budget', [bad.url, worse.url], `attempts: 2, ${ON}, budget: 0%`),
    upstream('stale', [`http://127.0.0.1:${stale.port}`], ''),
  ]
  await edge.start(
    `
listeners:
  public: { address: '127.0.0.1:0' }
  bytes: { address: '127.0.0.1:0', mode: tcp, upstream: bytes }
upstreams:
  bytes: { endpoints: ['tcp://127.0.0.1:${closed.port}', 'tcp://127.0.0.1:${gone}', 'tcp://127.0.0.1:${good.port}'], ejection: off }
${all.join('\n')}
routes:
${all
  .map((line) => line.split(':')[0].trim())
  .map((name) => `  - { path: /${name}, upstream: ${name} }`)
  .join('\n')}
telemetry: { accessLog: { path: access.jsonl } }
`,
    '--threads',
    '1',
  )
  port = edge.port('public')
})

/** Sends `count` requests one by one, each with its own tag; returns the answers and how often each tag was seen. */
async function send(
  path: string,
  method: string,
  body: string | undefined,
  count: number,
): Promise<{ statuses: Record<string, number>; most: number; attempts: number }> {
  const endpoints = [good, bad, worse]
  const before = endpoints.map((one) => one.tags.length)
  const answers: Answer[] = []
  for (let n = 0; n < count; n++) {
    answers.push(await ask(port, path, { method, body, headers: { 'X-Test': `t${tag++}` } }))
  }
  const seen = tally(endpoints.flatMap((one, i) => one.tags.slice(before[i])))
  const attempts = Object.values(seen).reduce((sum, times) => sum + times, 0)
  return {
    statuses: tally(answers.map(({ status }) => String(status))),
    most: Math.max(0, ...Object.values(seen)),
    attempts,
  }
}

test('an endpoint that cannot be reached has seen nothing, so every request goes to another one', async () => {
  const rows: [string, string | undefined][] = [
    ['GET', undefined],
    ['HEAD', undefined],
    ['PUT', 'body'],
    ['DELETE', undefined],
    ['OPTIONS', undefined],
    ['POST', 'body'],
    ['POST', undefined],
    ['PATCH', 'body'],
    ['LOCK', undefined],
  ]
  for (const [method, body] of rows) {
    assert.deepEqual(await send('/connect', method, body, 4), { statuses: { 200: 4 }, most: 1, attempts: 4 }, method)
  }
  assert.equal(rows.length, 9)
})

test('what an endpoint may have acted on is repeated only when that does no harm', async () => {
  // Two of four requests meet the bad endpoint first.
  const rows: [string, string | undefined, boolean][] = [
    ['GET', undefined, true],
    ['HEAD', undefined, true],
    ['DELETE', undefined, true],
    ['OPTIONS', undefined, true],
    ['PUT', undefined, true],
    ['PUT', 'body', false],
    ['DELETE', 'body', false],
    ['GET', 'body', false],
    ['POST', undefined, false],
    ['POST', 'body', false],
    ['PATCH', 'body', false],
    ['LOCK', undefined, false],
  ]
  let ran = 0
  for (const [behaviour, refused] of [
    ['reset', '502'],
    [502, '502'],
    [503, '503'],
  ] as const) {
    bad.behaviour = behaviour
    for (const [method, body, repeated] of rows) {
      const { statuses, most, attempts } = await send('/answers', method, body, 4)
      const what = `${behaviour} ${method} ${body}`
      if (repeated) {
        assert.deepEqual([statuses, most], [{ 200: 4 }, 2], what)
        assert.ok(attempts > 4, what)
      } else {
        assert.deepEqual([statuses, most, attempts], [{ 200: 2, [refused]: 2 }, 1, 4], what)
      }
      ran++
    }
  }
  assert.equal(ran, 36)
})

test('only what `on` names is repeated, and no other status', async () => {
  bad.behaviour = 503
  assert.deepEqual((await send('/only-connect', 'GET', undefined, 4)).statuses, { 200: 2, 503: 2 })
  bad.behaviour = 'reset'
  // A kept connection that breaks counts as stale and is repeated: use those up.
  await send('/only-connect', 'GET', undefined, 4)
  assert.deepEqual((await send('/only-connect', 'GET', undefined, 4)).statuses, { 200: 2, 502: 2 })
  bad.behaviour = 500
  assert.deepEqual((await send('/answers', 'GET', undefined, 4)).statuses, { 200: 2, 500: 2 })
  bad.behaviour = 504
  assert.deepEqual((await send('/answers', 'GET', undefined, 4)).statuses, { 200: 2, 504: 2 })
})

test('`attempts` counts the first, and each goes to an endpoint that was not tried yet', async () => {
  bad.behaviour = 503
  worse.behaviour = 503
  const three = await send('/three', 'GET', undefined, 12)
  // Once at each of the two that answer; the third cannot be reached.
  assert.deepEqual([three.most, three.attempts], [2, 24])
  const lines = await edge.lines(12, 'three', ({ path }) => path === '/three')
  assert.deepEqual(tally(lines.map((line) => String(line.attempts))), { 3: 12 })
  assert.deepEqual(await send('/one', 'GET', undefined, 6), { statuses: { 503: 6 }, most: 1, attempts: 6 })
  assert.deepEqual((await send('/none', 'GET', undefined, 4)).statuses, { 200: 2, 502: 2 })
})

test('retries stay within the budget', async () => {
  bad.behaviour = 503
  worse.behaviour = 503
  const before = bad.hits + worse.hits
  await askMany(port, () => '/budget', 400, 8)
  const repeats = bad.hits + worse.hits - before - 400
  assert.ok(repeats >= 30 && repeats <= 80, `${repeats} repeats of 400`)
  const none = bad.hits + worse.hits
  await askMany(port, () => '/no-budget', 50, 8)
  assert.equal(bad.hits + worse.hits - none, 50)
})

test('a reused connection that was stale: GET is repeated once on a new one, POST is not', async () => {
  const fresh = await ask(port, '/stale')
  assert.deepEqual([fresh.status, fresh.body], [200, 'fresh'])
  const repeated = await ask(port, '/stale')
  assert.deepEqual([repeated.status, repeated.body], [200, 'fresh'])
  assert.equal(stale.connections.length, 2)
  const posted = await ask(port, '/stale', { method: 'POST', body: 'once' })
  assert.equal(posted.status, 502)
  assert.equal((JSON.parse(posted.body) as { code: string }).code, 'upstream-reset')
  const all = stale.connections.map(({ received }) => received.toString('latin1')).join('')
  assert.equal(all.match(/POST \/stale/g)?.length, 1)
})

test('an attempt that is over is told in the log: the endpoint that answered, and the number of attempts', async () => {
  bad.behaviour = 503
  const id = `t${tag}`
  await send('/answers', 'GET', undefined, 2)
  const lines = await edge.lines(2, id, ({ path, attempts }) => path === '/answers' && attempts === 2)
  for (const line of lines)
    assert.deepEqual([line.status, line.outcome, line.endpoint], [200, 'ok', `127.0.0.1:${good.port}`])
})

test('a connection in mode tcp finds the endpoint that is left, by trying each once', async () => {
  const answers = await Promise.all(Array.from({ length: 24 }, () => ask(edge.port('bytes'), '/')))
  assert.deepEqual(tally(answers.map(({ body }) => body)), { good: 24 })
  const lines = await edge.lines(24, 'the connections', ({ protocol }) => protocol === 'TCP')
  assert.ok(lines.every(({ endpoint }) => endpoint === `127.0.0.1:${good.port}`))
  assert.ok(lines.some(({ attempts }) => attempts === 3))
})
