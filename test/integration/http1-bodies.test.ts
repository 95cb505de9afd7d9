/** Bodies of every framing, both ways, and the responses that have none (RFC 9112 6, 7). */
import assert from 'node:assert/strict'
import { story } from '../support/edge-in-process.ts'
import { readRequest, readResponse, readResponses, statusOf, valuesOf } from '../support/second-reader.ts'
import type { Wire } from '../support/wire.ts'

const HOST = 'Host: a.test\r\n'

/** Waits until a whole request is there and reads it. */
async function requestAt(wire: Wire) {
  await wire.until(({ text }) => typeof readRequest(text) !== 'string', 'a whole request')
  const found = readRequest(wire.text)
  assert.ok(typeof found !== 'string')
  return found
}

/** Waits until a whole response is there and reads it. */
async function responseAt(wire: Wire, method = 'GET') {
  await wire.until(
    ({ text, ended, closed }) => typeof readResponse(text, method, ended || closed) !== 'string',
    'a whole response',
  )
  const found = readResponse(wire.text, method, wire.ended || wire.closed)
  assert.ok(typeof found !== 'string')
  return found
}

const REQUEST_BODIES: readonly (readonly [name: string, framed: string, body: string, framing: string])[] = [
  ['no body', '\r\n', '', 'none'],
  ['Content-Length 0', 'Content-Length: 0\r\n\r\n', '', 'none'],
  ['Content-Length', 'Content-Length: 5\r\n\r\nhello', 'hello', 'length'],
  ['Content-Length with CRLF in the body', 'Content-Length: 8\r\n\r\na\r\n\r\nGET', 'a\r\n\r\nGET', 'length'],
  ['empty chunked', 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n', '', 'chunked'],
  ['one chunk', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 'hello', 'chunked'],
  ['many chunks', 'Transfer-Encoding: Chunked\r\n\r\n1\r\nh\r\n00004;x=y\r\nello\r\n000\r\n\r\n', 'hello', 'chunked'],
]

story(
  'request bodies reach the endpoint whole, each in its framing, however the bytes are cut',
  {},
  async (edge, endpoint, open) => {
    let ran = 0
    for (const [name, framed, body, framing] of REQUEST_BODIES) {
      const text = `POST /b HTTP/1.1\r\n${HOST}${framed}`
      for (const cut of [0, 1, text.indexOf('\r\n\r\n') + 2, text.indexOf('\r\n\r\n') + 4, text.length - 1]) {
        const client = await open()
        if (cut > 0) {
          client.send(text.slice(0, cut))
          // A round trip on another connection: the first part has been read by then.
          const other = await open()
          other.send(`GET /fixed HTTP/1.1\r\n${HOST}\r\n`)
          await responseAt(other)
          other.close()
        }
        client.send(text.slice(cut))
        const upstream = await endpoint.next()
        const request = await requestAt(upstream)
        assert.equal(request.body, body, `${name}, cut at ${cut}`)
        assert.equal(request.framing, framing, name)
        upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
        assert.equal(statusOf((await responseAt(client)).startLine), 200)
        client.close()
        ran++
      }
    }
    assert.equal(ran, 35, 'request bodies')
    assert.deepEqual(
      edge.ended.filter((one) => one.target === '/b').map((one) => [one.outcome, one.bytesIn]),
      REQUEST_BODIES.flatMap(([, , body]) => Array.from({ length: 5 }, () => ['ok', body.length])),
    )
  },
)

interface Answer {
  readonly name: string
  readonly head: string
  readonly body?: string
  readonly close?: boolean
  readonly method?: string
  readonly version?: string
  /** What the client must see. */
  readonly seen: string
  readonly framing: string
  readonly fields?: Readonly<Record<string, string | null>>
}

const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n'
const RESPONSES: readonly Answer[] = [
  { name: 'Content-Length', head: 'Content-Length: 5\r\n\r\n', body: 'hello', seen: 'hello', framing: 'length' },
  { name: 'Content-Length 0', head: 'Content-Length: 0\r\n\r\n', seen: '', framing: 'none' },
  { name: 'chunked', head: CHUNKED, body: '5\r\nhello\r\n0\r\n\r\n', seen: 'hello', framing: 'chunked' },
  { name: 'empty chunked', head: CHUNKED, body: '0\r\n\r\n', seen: '', framing: 'chunked' },
  { name: 'close-delimited', head: '\r\n', body: 'hello', close: true, seen: 'hello', framing: 'chunked' },
  { name: 'empty close-delimited', head: '\r\n', close: true, seen: '', framing: 'chunked' },
  {
    name: 'HEAD with Content-Length',
    method: 'HEAD',
    head: 'Content-Length: 5\r\n\r\n',
    seen: '',
    framing: 'none',
    fields: { 'content-length': '5' },
  },
  {
    name: 'HEAD with Transfer-Encoding',
    method: 'HEAD',
    head: CHUNKED,
    seen: '',
    framing: 'none',
    fields: { 'content-length': null, 'transfer-encoding': null },
  },
  { name: 'HEAD without length', method: 'HEAD', head: '\r\n', seen: '', framing: 'none' },
  { name: '204', head: '204\r\n', seen: '', framing: 'none', fields: { 'content-length': null } },
  { name: '204 with Content-Length 0', head: '204Content-Length: 0\r\n\r\n', seen: '', framing: 'none' },
  {
    name: '304 with Content-Length',
    head: '304Content-Length: 5\r\n\r\n',
    seen: '',
    framing: 'none',
    fields: { 'content-length': '5' },
  },
  { name: '304', head: '304\r\n', seen: '', framing: 'none', fields: { 'content-length': null } },
  {
    name: 'chunked to an HTTP/1.0 client',
    version: '1.0',
    head: CHUNKED,
    body: '5\r\nhello\r\n0\r\n\r\n',
    seen: 'hello',
    framing: 'close',
    fields: { connection: 'close' },
  },
  {
    name: 'Content-Length to an HTTP/1.0 client',
    version: '1.0',
    head: 'Content-Length: 5\r\n\r\n',
    body: 'hello',
    seen: 'hello',
    framing: 'length',
    fields: { connection: 'close' },
  },
  {
    name: 'close-delimited to an HTTP/1.0 client',
    version: '1.0',
    head: '\r\n',
    body: 'hello',
    close: true,
    seen: 'hello',
    framing: 'close',
  },
]

story('responses of every framing reach the client whole, however the bytes are cut', {}, async (_, endpoint, open) => {
  let ran = 0
  for (const answer of RESPONSES) {
    const status = /^\d{3}/.exec(answer.head)?.[0] ?? '200'
    const rest = answer.head.replace(/^\d{3}/, '')
    const text = `HTTP/1.1 ${status} Fine\r\nX-A: b\r\n${rest}${answer.body ?? ''}`
    for (let cut = 0; cut < text.length; cut += cut < 30 ? 5 : 1) {
      const client = await open()
      client.send(`${answer.method ?? 'GET'} /r HTTP/${answer.version ?? '1.1'}\r\n${HOST}\r\n`)
      const upstream = await endpoint.next()
      await requestAt(upstream)
      if (cut > 0) {
        upstream.send(text.slice(0, cut))
        const other = await open()
        other.send(`GET /fixed HTTP/1.1\r\n${HOST}\r\n`)
        await responseAt(other)
        other.close()
      }
      upstream.send(text.slice(cut))
      if (answer.close) upstream.end()
      const response = await responseAt(client, answer.method)
      assert.equal(response.body, answer.seen, `${answer.name}, cut at ${cut}`)
      assert.equal(response.framing, answer.framing, answer.name)
      for (const [name, value] of Object.entries(answer.fields ?? {})) {
        assert.deepEqual(valuesOf(response, name), value === null ? [] : [value], `${answer.name}: ${name}`)
      }
      client.close()
      upstream.close()
      ran++
    }
  }
  assert.equal(ran, 365, 'responses')
})

story(
  'trailers of a request reach the endpoint, but for those that frame, route or vouch',
  {},
  async (_, endpoint, open) => {
    const client = await open()
    client.send(
      `POST /t HTTP/1.1\r\n${HOST}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n` +
        'Host: evil\r\nContent-Length: 9\r\nX-Forwarded-For: 1.1.1.1\r\nX_Forwarded_For: 1.1.1.1\r\nAuthorization: x\r\n\r\n',
    )
    const upstream = await endpoint.next()
    const request = await requestAt(upstream)
    assert.deepEqual(request.trailers, [['X-Sum', '1']])
    assert.deepEqual(valuesOf(request, 'trailer'), ['X-Sum'])
    upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    await responseAt(client)
  },
)

story(
  'trailers of a response reach the client that asked for them by TE, and no other',
  {},
  async (_, endpoint, open) => {
    endpoint.answerAll(() => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n')
    const asks = await open()
    asks.send(`GET /t HTTP/1.1\r\n${HOST}TE: trailers\r\nConnection: TE\r\n\r\n`)
    assert.deepEqual((await responseAt(asks)).trailers, [['X-Sum', '1']])
    const other = await open()
    other.send(`GET /t HTTP/1.1\r\n${HOST}\r\n`)
    assert.deepEqual((await responseAt(other)).trailers, [])
    const old = await open()
    old.send(`GET /t HTTP/1.0\r\n${HOST}TE: trailers\r\n\r\n`)
    const response = await responseAt(old)
    assert.equal(response.body, 'a')
  },
)

story(
  'an HTTP/1.0 client with keep-alive keeps its connection where the length is known',
  {},
  async (_, endpoint, open) => {
    endpoint.answerAll(() => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    const client = await open()
    const request = `GET /k HTTP/1.0\r\nConnection: keep-alive\r\n${HOST}\r\n`
    client.send(request)
    const first = await responseAt(client)
    assert.deepEqual(valuesOf(first, 'connection'), ['keep-alive'])
    client.send(request)
    await client.until(({ text }) => text.length === 2 * first.length, 'the second response')
    assert.equal(client.ended, false)
  },
)

story('an HTTP/1.0 request without Host is forwarded', {}, async (_, endpoint, open) => {
  endpoint.answerAll(() => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  const client = await open()
  client.send('GET /k HTTP/1.0\r\n\r\n')
  assert.equal((await responseAt(client)).body, 'ok')
  await client.untilOver()
})

story('a HEAD that a fixed response answers tells the length and sends no body', {}, async (edge, _, open) => {
  const client = await open()
  client.send(`HEAD /fixed HTTP/1.1\r\n${HOST}\r\nGET /fixed HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)
  await client.untilOver()
  const [head, get] = readResponses(client.text, ['HEAD', 'GET'])
  assert.ok(head !== undefined && get !== undefined)
  assert.deepEqual(valuesOf(head, 'content-length'), ['5'])
  assert.equal(get.body, 'fixed')
  assert.equal(edge.ended.length, 2)
})

story('large bodies pass unchanged in both framings and directions', {}, async (edge, endpoint, open) => {
  const size = 5 * 1024 * 1024
  const body = Buffer.alloc(size)
  for (let i = 0; i < size; i++) body[i] = (i * 31 + (i >> 8)) & 255
  const client = await open()
  client.send(`POST /big HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`).send(body)
  const upstream = await endpoint.next()
  await upstream.until(({ text }) => text.length > size && text.includes('\r\n\r\n'), 'the beginning')
  await upstream.until(({ text }) => text.length >= text.indexOf('\r\n\r\n') + 4 + size, 'the whole body')
  assert.ok(Buffer.from(upstream.text.slice(upstream.text.indexOf('\r\n\r\n') + 4), 'latin1').equals(body))
  upstream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (let at = 0; at < size; at += 100_001) {
    const part = body.subarray(at, Math.min(size, at + 100_001))
    upstream
      .send(`${part.length.toString(16)}\r\n`)
      .send(part)
      .send('\r\n')
  }
  upstream.send('0\r\n\r\n')
  await client.until(({ text }) => text.endsWith('\r\n0\r\n\r\n'), 'the whole answer')
  assert.ok(Buffer.from((await responseAt(client)).body, 'latin1').equals(body))
  assert.deepEqual([edge.ended[0]?.bytesIn, edge.ended[0]?.bytesOut], [size, size])
})
