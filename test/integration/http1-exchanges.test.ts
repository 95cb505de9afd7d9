/** The order and the life of exchanges on one connection: pipelining, keep-alive, interim and early answers, leaving clients. */
import assert from 'node:assert/strict'
import { story } from '../support/edge-in-process.ts'
import { readResponses, statusOf, valuesOf } from '../support/second-reader.ts'
import { eventually, type Wire } from '../support/wire.ts'

const HOST = 'Host: a.test\r\n'
const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\n${HOST}${fields}\r\n`
const ok = (body: string, fields = ''): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`
const heads = (wire: Wire): number => wire.text.split('\r\n\r\n').length - 1
const statuses = (wire: Wire): number[] => readResponses(wire.text, []).map(({ startLine }) => statusOf(startLine))

story(
  'pipelined requests are answered in order, those of the edge and those of the endpoint mixed',
  {},
  async (edge, endpoint, open) => {
    endpoint.answerAll((head) => ok(/^GET (\S+)/.exec(head)?.[1] ?? ''))
    const client = await open()
    const paths = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? '/fixed' : `/p${i}`))
    client.send(paths.map((path) => get(path)).join(''))
    await edge.untilEnded(300)
    await client.until(({ text }) => text.endsWith('/p299'), 'the last answer')
    assert.deepEqual(
      readResponses(client.text, []).map(({ body }) => body),
      paths.map((path) => (path === '/fixed' ? 'fixed' : path)),
    )
    assert.equal(endpoint.connections.length, 1, 'one connection serves them all')
  },
)

story(
  'pipelined requests with bodies of both framings keep their order and their bodies',
  {},
  async (edge, endpoint, open) => {
    endpoint.answerAll((head) => ok(/^\w+ (\S+)/.exec(head)?.[1] ?? ''))
    const client = await open()
    const one = (i: number): string => `POST /p${i} HTTP/1.1\r\n${HOST}Content-Length: 3\r\n\r\nab${i % 10}`
    const text = Array.from({ length: 50 }, (_, i) => one(i)).join('')
    for (let at = 0; at < text.length; at += 97) client.send(text.slice(at, at + 97))
    await edge.untilEnded(50)
    await client.until(({ text }) => text.endsWith('/p49'), 'the last answer')
    assert.deepEqual(
      readResponses(client.text, []).map(({ body }) => body),
      Array.from({ length: 50 }, (_, i) => `/p${i}`),
    )
  },
)

story('a slow answer holds back the answers of the requests behind it', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.send(get('/slow') + get('/fixed'))
  const upstream = await endpoint.next()
  await upstream.until((wire) => heads(wire) === 1, 'the request')
  assert.equal(client.text, '')
  assert.equal(edge.ended.length, 0)
  upstream.send(ok('slow'))
  await client.until(({ text }) => text.endsWith('fixed'), 'both')
  assert.deepEqual(
    readResponses(client.text, []).map(({ body }) => body),
    ['slow', 'fixed'],
  )
})

story('a connection to the endpoint is used again, also for other clients', {}, async (edge, endpoint, open) => {
  endpoint.answerAll(() => ok('x'))
  for (let i = 0; i < 5; i++) {
    const client = await open()
    client.send(get('/a'))
    await client.until(({ text }) => text.endsWith('x'), 'answer')
    client.close()
  }
  assert.equal(endpoint.connections.length, 1)
  assert.deepEqual(
    edge.ended.map(({ attempts }) => attempts),
    [1, 1, 1, 1, 1],
  )
})

story('a connection that the endpoint wants closed is not used again', {}, async (_, endpoint, open) => {
  endpoint.answerAll(() => ok('x', 'Connection: close\r\n'))
  const client = await open()
  for (let i = 1; i <= 3; i++) {
    client.send(get('/a'))
    await client.until(({ text }) => text.split('\r\n\r\nx').length === i + 1, 'answer')
  }
  assert.equal(endpoint.connections.length, 3)
  assert.equal(client.ended, false, 'the client keeps its own')
})

story(
  'Expect: 100-continue goes to the endpoint, its 100 to the client, then the body',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(`POST /e HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`)
    const upstream = await endpoint.next()
    await upstream.until((wire) => heads(wire) === 1, 'the head alone')
    assert.match(upstream.text, /\r\nExpect: 100-continue\r\n/)
    upstream.send('HTTP/1.1 100 Continue\r\n\r\n')
    await client.untilText('HTTP/1.1 100 Continue\r\n\r\n')
    client.send('body')
    await upstream.until(({ text }) => text.endsWith('body'), 'the body')
    upstream.send(ok('done'))
    await client.until(({ text }) => text.endsWith('done'), 'the answer')
    assert.deepEqual(statuses(client), [100, 200])
    assert.equal(edge.ended[0]?.bytesIn, 4)
  },
)

story(
  'a final answer instead of a 100 ends the connection, since the body may or may not come',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(`POST /e HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`)
    const upstream = await endpoint.next()
    await upstream.until((wire) => heads(wire) === 1, 'the head')
    upstream.send('HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno')
    await client.untilOver()
    const [answer] = readResponses(client.text, [])
    assert.ok(answer !== undefined)
    assert.equal(statusOf(answer.startLine), 401)
    assert.deepEqual(valuesOf(answer, 'connection'), ['close'])
    await upstream.untilOver('the connection, on which a request was left half, closes')
    assert.equal(edge.ended[0]?.outcome, 'ok')
  },
)

story('an answer of the edge to Expect: 100-continue comes without a 100 and closes', {}, async (_, endpoint, open) => {
  const client = await open()
  client.send(`POST /fixed HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`)
  await client.untilOver()
  assert.deepEqual(statuses(client), [200])
  assert.equal(endpoint.connections.length, 0)
})

story('another expectation is answered 417', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.send(get('/e', 'Expect: 200-ok\r\n'))
  await client.untilOver()
  assert.deepEqual(statuses(client), [417])
  assert.equal(edge.ended[0]?.outcome, 'expectation-failed')
  assert.equal(endpoint.connections.length, 0)
})

story('interim responses are passed on as they come, and none to HTTP/1.0', {}, async (_, endpoint, open) => {
  endpoint.answerAll(
    () => `HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n${ok('x')}`,
  )
  const client = await open()
  client.send(get('/i'))
  await client.until(({ text }) => text.endsWith('\r\nx'), 'answer')
  const [early, final] = readResponses(client.text, [])
  assert.ok(early !== undefined && final !== undefined)
  assert.equal(early.startLine, 'HTTP/1.1 103 Early Hints')
  assert.deepEqual(early.fields, [['Link', '</a.css>']])
  assert.equal(final.body, 'x')
  const old = await open()
  old.send(`GET /i HTTP/1.0\r\n${HOST}\r\n`)
  await old.untilOver()
  assert.deepEqual(statuses(old), [200])
})

story('a client that said FIN behind its request is served', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.send(get('/h')).end()
  const upstream = await endpoint.next()
  await upstream.until((wire) => heads(wire) === 1, 'the request')
  upstream.send(ok('late'))
  await client.untilOver()
  assert.equal(readResponses(client.text, [])[0]?.body, 'late')
  assert.equal(edge.ended[0]?.outcome, 'ok')
})

story(
  'a client that said FIN behind pipelined requests gets all answers, then FIN',
  {},
  async (edge, endpoint, open) => {
    endpoint.answerAll(() => ok('x'))
    const client = await open()
    client.send(get('/1') + get('/2') + get('/fixed') + get('/3')).end()
    await client.untilOver()
    assert.equal(readResponses(client.text, []).length, 4)
    assert.equal(edge.ended.length, 4)
  },
)

story('a FIN in the middle of a head or body ends the connection at once', {}, async (edge, endpoint, open) => {
  const idle = await open()
  idle.end()
  await idle.untilOver()
  const head = await open()
  head.send(`GET / HTTP/1.1\r\n${HOST}`).end()
  await head.untilOver()
  assert.equal(edge.opened, 0)
  const body = await open()
  body.send(`POST /b HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nabc`).end()
  await body.untilOver()
  assert.equal((await edge.untilEnded(1)).outcome, 'client-gone')
  for (const upstream of endpoint.connections) {
    await upstream.untilOver()
    assert.ok(!upstream.text.includes('\r\n\r\nabc\r\n'))
  }
})

story(
  'a partial head held behind a slow answer, then FIN: the connection ends with the answer',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(`${get('/slow')}GET /part HTT`).end()
    const upstream = await endpoint.next()
    await upstream.until((wire) => heads(wire) === 1, 'the request')
    upstream.send(ok('x'))
    await client.untilOver()
    assert.deepEqual(statuses(client), [200])
    assert.equal(edge.ended.length, 1)
  },
)

story('a client that resets takes its request back from the endpoint', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.send(get('/gone'))
  const upstream = await endpoint.next()
  await upstream.until((wire) => heads(wire) === 1, 'the request')
  client.reset()
  await upstream.untilOver()
  assert.equal((await edge.untilEnded(1)).outcome, 'client-gone')
})

story('a client that resets in the middle of an answer takes its request back', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.send(get('/gone'))
  const upstream = await endpoint.next()
  await upstream.until((wire) => heads(wire) === 1, 'the request')
  upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin')
  await client.untilText('begin')
  client.reset()
  await upstream.untilOver()
  const { outcome, status } = await edge.untilEnded(1)
  assert.deepEqual([outcome, status], ['client-gone', 200])
})

story('a client that resets in the middle of its body takes its request back', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.send(`POST /gone HTTP/1.1\r\n${HOST}Content-Length: 1000\r\n\r\nbegin`)
  const upstream = await endpoint.next()
  await upstream.untilText('begin')
  client.reset()
  await upstream.untilOver()
  assert.equal((await edge.untilEnded(1)).outcome, 'client-gone')
})

for (const [framing, begin] of [
  ['Content-Length', 'Content-Length: 10000000\r\n\r\n'],
  ['chunked', 'Transfer-Encoding: chunked\r\n\r\n989680\r\n'],
] as const) {
  story(
    `an early final answer to 10 MB (${framing}) reaches a client that only sends, then the connection ends`,
    {},
    async (edge, endpoint, open) => {
      endpoint.onConnection = (wire) => {
        wire.keep = false
        wire.socket.once('data', () => wire.send('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno'))
      }
      const client = await open()
      client.send(`POST /early HTTP/1.1\r\n${HOST}${begin}`)
      client.send(Buffer.alloc(10_000_000, 0x61))
      await client.untilOver()
      const [answer] = readResponses(client.text, [])
      assert.ok(answer !== undefined)
      assert.equal(statusOf(answer.startLine), 413)
      assert.equal(answer.body, 'no')
      assert.deepEqual(valuesOf(answer, 'connection'), ['close'])
      assert.equal(client.error, null)
      assert.equal((await edge.untilEnded(1)).outcome, 'ok')
    },
  )
}

story(
  'after an early answer a short rest of the body is read over and the next request served',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(`POST /early HTTP/1.1\r\n${HOST}Content-Length: 40\r\n\r\nbegin`)
    const upstream = await endpoint.next()
    await upstream.untilText('begin')
    upstream.send(ok('early'))
    await client.untilText('early')
    assert.equal(edge.ended.length, 1)
    client.send(`${'GET /smuggled HTTP/1.1\r\nHost: a.test'.slice(0, 35).padEnd(35, ' ')}${get('/fixed')}`)
    await client.until(({ text }) => text.endsWith('fixed'), 'the next answer')
    assert.deepEqual(
      edge.ended.map(({ target }) => target),
      ['/early', '/fixed'],
    )
    await upstream.untilOver('the connection with half a request closes')
  },
)

story(
  'a large body whose last bytes are read over after the answer keeps its connection',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    const size = 600_000
    client.send(`POST /early HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`).send(Buffer.alloc(size - 10, 0x61))
    const upstream = await endpoint.next()
    await upstream.until(({ received }) => received > size, 'nearly all')
    upstream.send(ok('early'))
    await client.untilText('early')
    assert.doesNotMatch(client.text, /Connection: close/)
    client.send('a'.repeat(10) + get('/fixed'))
    await client.until(({ text }) => text.endsWith('fixed'), 'the next answer')
    assert.equal(edge.ended.length, 2)
  },
)

story(
  'an endpoint that answers early and takes the whole body all the same has its answer passed on',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(`POST /early HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`)
    const upstream = await endpoint.next()
    await upstream.untilText('hello')
    upstream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n')
    await client.untilText('one')
    client.send('5\r\nworld\r\n0\r\n\r\n')
    await upstream.untilText('\r\n0\r\n\r\n')
    upstream.send('3\r\ntwo\r\n0\r\n\r\n')
    await client.until(({ text }) => text.endsWith('\r\n0\r\n\r\n'), 'the whole answer')
    assert.equal(readResponses(client.text, [])[0]?.body, 'onetwo')
    assert.equal(edge.ended[0]?.bytesIn, 10)
  },
)

story(
  'the first server-sent event arrives before the second is sent',
  { upstream: { idleTimeoutMs: 60 } },
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(get('/events'))
    const upstream = await endpoint.next()
    await upstream.until((wire) => heads(wire) === 1, 'the request')
    upstream.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
    await client.untilText('text/event-stream')
    upstream.send('9\r\ndata: 1\n\n\r\n')
    await client.untilText('data: 1\n\n')
    // Silence far beyond the idle time of bodies; other exchanges tell the time.
    const until = performance.now() + 300
    await eventually(
      () => performance.now() > until,
      () => 'time passes',
    )
    assert.equal(client.ended || client.closed, false)
    upstream.send('9\r\ndata: 2\n\n\r\n0\r\n\r\n')
    await client.until(({ text }) => text.endsWith('0\r\n\r\n'), 'the second')
    assert.equal((await edge.untilEnded(1)).outcome, 'ok')
  },
)

story(
  'requests wait for a slot and are served in turn; a client that leaves the queue is not asked for',
  {
    upstream: { concurrency: { limit: 1, queue: 2, queueTimeoutMs: 60_000 } },
  },
  async (edge, endpoint, open) => {
    const first = await open()
    first.send(get('/1'))
    const upstream = await endpoint.next()
    await upstream.until((wire) => heads(wire) === 1, 'the first')
    const leaves = await open()
    leaves.send(get('/2'))
    await eventually(
      () => edge.opened === 2,
      () => 'the second waits',
    )
    const waits = await open()
    waits.send(get('/3'))
    await eventually(
      () => edge.opened === 3,
      () => 'the third waits',
    )
    const full = await open()
    full.send(get('/4'))
    await full.untilText('"code":"upstream-queue-full"')
    leaves.reset()
    await edge.untilEnded(2)
    upstream.send(ok('one'))
    await first.until(({ text }) => text.endsWith('one'), 'the first answer')
    await upstream.until((wire) => heads(wire) === 2, 'the third request')
    upstream.send(ok('three'))
    await waits.until(({ text }) => text.endsWith('three'), 'the third answer')
    assert.doesNotMatch(upstream.text, /GET \/2/)
    assert.deepEqual(
      edge.ended.map(({ outcome }) => outcome),
      ['upstream-queue-full', 'client-gone', 'ok', 'ok'],
    )
  },
)

story(
  'a request whose body breaks off while it waits for a slot never reaches the endpoint',
  {
    upstream: { concurrency: { limit: 1, queue: 2, queueTimeoutMs: 60_000 } },
  },
  async (edge, endpoint, open) => {
    const first = await open()
    first.send(get('/1'))
    const upstream = await endpoint.next()
    await upstream.until((wire) => heads(wire) === 1, 'the first')
    const broken = await open()
    broken.send(`POST /broken HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\n`).end()
    await edge.untilEnded(1)
    upstream.send(ok('one'))
    await first.until(({ text }) => text.endsWith('one'), 'the first answer')
    first.send(get('/3'))
    await upstream.until((wire) => heads(wire) === 2, 'the next request')
    upstream.send(ok('three'))
    await first.until(({ text }) => text.endsWith('three'), 'the next answer')
    assert.doesNotMatch(endpoint.connections.map(({ text }) => text).join(''), /broken/)
    assert.equal(edge.ended.length, 3)
  },
)

story(
  'a request that waits too long for a slot is answered 503, its body behind it read over',
  {
    upstream: { concurrency: { limit: 1, queue: 2, queueTimeoutMs: 50 } },
  },
  async (edge, endpoint, open) => {
    const first = await open()
    first.send(get('/1'))
    const upstream = await endpoint.next()
    await upstream.until((wire) => heads(wire) === 1, 'the first')
    const late = await open()
    late.send(`POST /late HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello${get('/fixed')}`)
    await late.until(({ text }) => text.endsWith('fixed'), 'both answers')
    assert.deepEqual(statuses(late), [503, 200])
    upstream.send(ok('one'))
    await first.until(({ text }) => text.endsWith('one'), 'the first answer')
    assert.equal(edge.ended.length, 3)
  },
)
