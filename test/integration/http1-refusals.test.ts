/** What the edge refuses by itself: each answer is a whole problem document (RFC 9457), and what follows is not read. */
import assert from 'node:assert/strict'
import { REASONS, type ReasonCode } from '../../src/base/errors.ts'
import { story } from '../support/edge-in-process.ts'
import { readResponses, statusOf, valuesOf } from '../support/second-reader.ts'

const HOST = 'Host: a.test\r\n'
const long = 'a'.repeat(9000)

/** Request, code; every one closes the connection. */
const REFUSED: readonly (readonly [request: string, code: ReasonCode])[] = [
  ['GET\r\n\r\n', 'request-line-invalid'],
  ['GET /\r\n\r\n', 'request-line-invalid'],
  ['GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 'request-line-invalid'],
  ['GET / HTTP/1.1\nHost: a\n\n', 'request-line-invalid'],
  ['\x16\x03\x01\x02\x00', 'request-line-invalid'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'version-unsupported'],
  ['GET / HTTP/2.0\r\nHost: a\r\n\r\n', 'version-unsupported'],
  ['GET / HTTP/1.2\r\nHost: a\r\n\r\n', 'version-unsupported'],
  [`TRACE / HTTP/1.1\r\n${HOST}\r\n`, 'method-refused'],
  [`CONNECT a:443 HTTP/1.1\r\n${HOST}\r\n`, 'method-refused'],
  [`GET /${long} HTTP/1.1\r\n${HOST}\r\n`, 'url-too-long'],
  [`GET /${long}`, 'url-too-long'],
  [`GET / HTTP/1.1\r\n${HOST}X: ${long}${long}${long}${long}\r\n\r\n`, 'header-too-large'],
  [`GET / HTTP/1.1\r\n${HOST}X: ${long}${long}${long}${long}`, 'header-too-large'],
  [`GET / HTTP/1.1\r\n${HOST}${'A: b\r\n'.repeat(101)}\r\n`, 'header-too-many'],
  [`GET / HTTP/1.1\r\n${HOST}A : b\r\n\r\n`, 'header-invalid'],
  [`GET / HTTP/1.1\r\n${HOST} folded\r\n\r\n`, 'header-invalid'],
  ['GET / HTTP/1.1\r\n\r\n', 'host-invalid'],
  [`GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`, 'host-invalid'],
  [`POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 'framing-invalid'],
  [`POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`, 'framing-invalid'],
  [`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 'transfer-coding-unsupported'],
  [`POST / HTTP/1.1\r\n${HOST}Content-Length: 10485761\r\n\r\n`, 'body-too-large'],
  [`POST / HTTP/1.1\r\n${HOST}Content-Length: 999999999999999\r\n\r\n`, 'body-too-large'],
]

story(
  'what cannot be read is answered with a problem document and the connection closed',
  {},
  async (edge, endpoint, open) => {
    for (const [request, code] of REFUSED) {
      const client = await open()
      client.send(`${request}`)
      // What comes behind is never a request.
      client.send(`GET /smuggled HTTP/1.1\r\n${HOST}\r\n`)
      await client.untilOver(code)
      const answers = readResponses(client.text, [])
      assert.equal(answers.length, 1, JSON.stringify(request.slice(0, 60)))
      const [answer] = answers
      assert.ok(answer !== undefined)
      const ended = edge.ended.at(-1)
      assert.equal(ended?.outcome, code, JSON.stringify(request.slice(0, 60)))
      assert.equal(statusOf(answer.startLine), REASONS[code].status)
      assert.deepEqual(valuesOf(answer, 'connection'), ['close'])
      assert.deepEqual(valuesOf(answer, 'content-type'), ['application/problem+json'])
      assert.equal(valuesOf(answer, 'date').length, 1)
      assert.deepEqual(JSON.parse(answer.body), {
        status: REASONS[code].status,
        title: REASONS[code].title,
        code,
        id: ended?.id,
      })
      client.close()
    }
    assert.equal(edge.ended.length, REFUSED.length)
    assert.equal(REFUSED.length, 24, 'refused requests')
    assert.equal(endpoint.connections.length, 0)
  },
)

story(
  'a chunked body is cut off where it passes the limit, before or after its head was forwarded',
  { limits: { bodyBytes: 1000 } },
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(`POST /c HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3e8\r\n${'a'.repeat(1000)}\r\n`)
    const upstream = await endpoint.next()
    await upstream.untilText('aaa')
    assert.equal(client.text, '')
    client.send('1\r\na\r\n0\r\n\r\n')
    await client.untilText('"code":"body-too-large"')
    await upstream.untilOver()
    assert.ok(!upstream.text.includes('\r\n0\r\n'), 'the endpoint never sees an end')
    const whole = await open()
    whole.send(`POST /c HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nffff\r\n`)
    whole.send('a'.repeat(0xffff))
    await whole.untilText('"code":"body-too-large"')
    assert.deepEqual(
      edge.ended.map(({ status }) => status),
      [413, 413],
    )
  },
)

story(
  'a body of exactly the limit passes in both framings',
  { limits: { bodyBytes: 1000 } },
  async (edge, endpoint, open) => {
    endpoint.onConnection = (wire) => wire.send('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    for (const framed of [
      `Content-Length: 1000\r\n\r\n${'a'.repeat(1000)}`,
      `Transfer-Encoding: chunked\r\n\r\n1f4\r\n${'a'.repeat(500)}\r\n1f4\r\n${'a'.repeat(500)}\r\n0\r\n\r\n`,
    ]) {
      const client = await open()
      client.send(`POST /c HTTP/1.1\r\n${HOST}${framed}`)
      await client.untilText('HTTP/1.1 200')
    }
    await edge.untilEnded(2)
  },
)

story(
  'a malformed chunk or trailer is refused, and the endpoint never sees an end',
  {},
  async (edge, endpoint, open) => {
    const bodies: readonly (readonly [string, ReasonCode])[] = [
      ['g\r\n', 'chunk-invalid'],
      ['-1\r\n', 'chunk-invalid'],
      ['0x1\r\na\r\n', 'chunk-invalid'],
      ['1 \r\na\r\n', 'chunk-invalid'],
      ['1\na\n0\n\n', 'chunk-invalid'],
      ['1\r\nab\r\n', 'chunk-invalid'],
      ['1\r\na\n0\r\n\r\n', 'chunk-invalid'],
      ['ffffffffffffffffff\r\n', 'chunk-invalid'],
      [`1;${'x'.repeat(5000)}\r\na\r\n`, 'chunk-invalid'],
      ['0\r\nA : b\r\n\r\n', 'trailer-invalid'],
      ['0\r\n folded\r\n\r\n', 'trailer-invalid'],
      ['0\r\n\rX', 'trailer-invalid'],
      [`0\r\nA: ${'x'.repeat(9000)}\r\n\r\n`, 'trailer-invalid'],
      [`0\r\n${'A: b\r\n'.repeat(65)}\r\n`, 'trailer-invalid'],
    ]
    for (const [body, code] of bodies) {
      const client = await open()
      client.send(`POST /c HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`)
      const upstream = await endpoint.next()
      await upstream.untilText('ok')
      client.send(body)
      await client.untilText(`"code":"${code}"`)
      await upstream.untilOver()
      assert.ok(!upstream.text.endsWith('0\r\n\r\n'), body)
      client.close()
    }
    assert.equal(edge.ended.length, bodies.length)
    assert.equal(bodies.length, 14, 'bodies')
  },
)

story('a malformed chunk after the answer has begun breaks the answer off', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.send(`POST /c HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`)
  const upstream = await endpoint.next()
  await upstream.untilText('ok')
  upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
  await client.untilText('half')
  client.send('evil\r\n')
  await client.untilOver()
  assert.ok(client.text.endsWith('half'))
  assert.equal((await edge.untilEnded(1)).outcome, 'chunk-invalid')
})

story(
  'an urge to ask without end: a target or head over its limit is not collected, whatever limit is lifted',
  { limits: { urlBytes: Number.POSITIVE_INFINITY, headBytes: 4096 } },
  async (edge, _, open) => {
    const client = await open()
    client.send(`GET /${'a'.repeat(5000)}`)
    await client.untilText('"code":"header-too-large"')
    await edge.untilEnded(1)
  },
)
