/** Policies that answer, throw or wait, on real connections: one end per exchange, whatever the client does meanwhile. */
import assert from 'node:assert/strict'
import type { Exchange } from '../../src/core/exchange.ts'
import type { HookResult, Policy } from '../../src/core/policy.ts'
import { LocalReply } from '../../src/core/reply.ts'
import { story } from '../support/edge-in-process.ts'
import { readResponses, statusOf } from '../support/second-reader.ts'
import { eventually } from '../support/wire.ts'

const HOST = 'Host: a.test\r\n'
const get = (path: string): string => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`
const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const asking = (hook: (exchange: Exchange) => HookResult): { policies: Policy[] } => ({
  policies: [{ name: 'access', onRequestHeaders: hook }],
})

/** Promises that a test settles. */
class Gate {
  readonly open: ((reply: LocalReply | undefined) => void)[] = []
  readonly fail: ((error: Error) => void)[] = []

  wait(): Promise<LocalReply | undefined> {
    return new Promise((resolve, reject) => {
      this.open.push(resolve)
      this.fail.push(reject)
    })
  }
}

story(
  'a hook that throws or rejects refuses the exchange with 500, once, and the connection goes on',
  {
    ...asking((exchange) => {
      if (exchange.path === '/throws') throw new Error('hook')
      return exchange.path === '/rejects' ? Promise.reject(new Error('hook')) : undefined
    }),
    defects: 2,
  },
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(get('/throws') + get('/rejects') + get('/fixed'))
    await client.until(({ text }) => text.endsWith('fixed'), 'all answers')
    assert.deepEqual(
      readResponses(client.text, []).map(({ startLine }) => statusOf(startLine)),
      [500, 500, 200],
    )
    assert.deepEqual(
      edge.ended.map(({ outcome }) => outcome),
      ['policy-failed', 'policy-failed', 'fixed-response'],
    )
    assert.equal(endpoint.connections.length, 0)
  },
)

story(
  'a hook that answers keeps the connection when the body behind it is short, and never forwards',
  asking(() => new LocalReply('route-not-found')),
  async (edge, endpoint, open) => {
    const client = await open()
    const post = `POST /p HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`
    client.send(post + post)
    await client.until(({ text }) => text.split('"code"').length === 3, 'both answers')
    assert.equal(edge.ended.length, 2)
    assert.equal(endpoint.connections.length, 0)
  },
)

const gate = new Gate()
story(
  'a body waits while a hook waits, and is then forwarded whole, what is pipelined behind it too',
  asking((exchange) => (exchange.path === '/p' ? gate.wait() : undefined)),
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(`POST /p HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${get('/fixed')}`)
    await eventually(
      () => gate.open.length === 1,
      () => 'the hook waits',
    )
    assert.equal(endpoint.connections.length, 0)
    gate.open[0]?.(undefined)
    const upstream = await endpoint.next()
    await upstream.untilText('5\r\nhello\r\n0\r\n\r\n')
    upstream.send(ok('done'))
    await client.until(({ text }) => text.endsWith('fixed'), 'both answers')
    assert.equal(edge.ended.length, 2)
  },
)

const leaving = new Gate()
story(
  "a client that leaves while a hook waits ends its exchange there; the hook's late answer changes nothing",
  { ...asking(() => leaving.wait()), defects: 1 },
  async (edge, endpoint, open) => {
    const reset = await open()
    reset.send(get('/a'))
    await eventually(
      () => leaving.open.length === 1,
      () => 'the hook waits',
    )
    reset.reset()
    assert.equal((await edge.untilEnded(1)).outcome, 'client-gone')
    const broken = await open()
    broken.send(`POST /b HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\n`)
    await eventually(
      () => leaving.open.length === 2,
      () => 'the hook waits',
    )
    broken.end()
    assert.equal((await edge.untilEnded(2)).outcome, 'client-gone')
    leaving.open[0]?.(undefined)
    leaving.fail[1]?.(new Error('late'))
    await edge.untilEnded(2)
    assert.equal(edge.ended.length, 2)
    assert.equal(endpoint.connections.length, 0)
  },
)

const half = new Gate()
story(
  'a client that half-closed while a hook waits is served',
  asking(() => half.wait()),
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(get('/a')).end()
    await eventually(
      () => half.open.length === 1,
      () => 'the hook waits',
    )
    half.open[0]?.(undefined)
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.send(ok('done'))
    await client.until(({ text }) => text.endsWith('done'), 'the answer')
    assert.equal(edge.ended[0]?.outcome, 'ok')
  },
)

story(
  'a hook of the attempt that answers leaves no request in flight',
  { policies: [{ name: 'access', onUpstreamRequest: () => new LocalReply('upstream-unavailable') }] },
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(get('/a') + get('/fixed'))
    await client.until(({ text }) => text.endsWith('fixed'), 'both answers')
    assert.equal(edge.inFlight, 0)
    assert.equal(endpoint.connections.length, 0)
    assert.equal(edge.ended.length, 2)
  },
)

story(
  'a response hook that throws keeps the answer of the endpoint from the client, and the thread alive',
  {
    policies: [
      {
        name: 'headers',
        onResponseHeaders: (exchange) => {
          if (exchange.path === '/p') throw new Error('response hook')
        },
      },
    ],
    // Once for the endpoint's answer, once for the refusal in its place.
    defects: 2,
  },
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(get('/p'))
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.send(ok('secret'))
    await client.until(({ text }) => text.includes('policy-failed'), 'the refusal')
    assert.doesNotMatch(client.text, /secret/)
    client.send(get('/fixed'))
    await client.until(({ text }) => text.endsWith('fixed'), 'the next answer')
    assert.deepEqual(
      edge.ended.map(({ outcome }) => outcome),
      ['policy-failed', 'fixed-response'],
    )
  },
)

story(
  'a hook of the attempt that throws refuses before a byte reaches the endpoint; one of the log changes nothing',
  {
    policies: [
      {
        name: 'headers',
        onUpstreamRequest: () => {
          throw new Error('attempt hook')
        },
        onLog: () => {
          throw new Error('log hook')
        },
      },
    ],
    defects: 3,
  },
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(get('/p') + get('/fixed'))
    await client.until(({ text }) => text.endsWith('fixed'), 'both answers')
    assert.deepEqual(
      edge.ended.map(({ outcome, status }) => [outcome, status]),
      [
        ['policy-failed', 500],
        ['fixed-response', 200],
      ],
    )
    assert.equal(endpoint.connections.length, 0)
  },
)
