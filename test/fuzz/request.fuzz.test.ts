/**
 * Fuzzes the request side: the parser against a second reader, what is forwarded against both and against node:http.
 *
 * Longer: `SALLYPORT_FUZZ_SECONDS=600 SALLYPORT_FUZZ_SEED=7 node --test test/fuzz/request.fuzz.test.ts`
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { CidrSet } from '../../src/base/cidr.ts'
import { ConnectionInfo } from '../../src/core/connection-info.ts'
import { Exchange } from '../../src/core/exchange.ts'
import type { ClientStream } from '../../src/http/client-stream.ts'
import { CHUNK_DATA, CHUNK_DONE, CHUNK_MORE, ChunkDecoder } from '../../src/http/h1/chunk-decoder.ts'
import { parseRequestHead } from '../../src/http/h1/parse-request.ts'
import { CHUNKED, RequestHead } from '../../src/http/message.ts'
import { identify } from '../../src/proxy/identity.ts'
import { readTarget } from '../../src/proxy/path/normalise.ts'
import { requestText } from '../../src/upstream/transports/http/request-text.ts'
import { EdgeInProcess } from '../support/edge-in-process.ts'
import { Budget, createRandom, cuts, mutate, type Random, SEED } from '../support/fuzz.ts'
import { type Message, readRequest } from '../support/second-reader.ts'

const LIMITS = { headBytes: 2048, headers: 30, urlBytes: 512, bodyBytes: 65_536 }

const CORPUS: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n',
  '\r\nGET /a/b?c=d HTTP/1.1\r\nHost: a.test:8080\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n',
  'GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nX-A: bcdef\r\n\r\n',
  'POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\na\r\n0123456789\r\n00\r\nX-T: 1\r\nX-U: 2\r\n\r\nGET /n HTTP/1.1\r\nHost: a\r\n\r\n',
  'PUT /p HTTP/1.1\r\nHost: [::1]:80\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
  'GET http://b.test/x?y HTTP/1.1\r\nHost: a\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n',
  'GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'DELETE /p HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nForwarded: for="[::1]";host=x\r\nX_Forwarded_For: 3.3.3.3\r\nX-Real-IP: 4.4.4.4\r\n\r\n',
  'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX-Empty:\r\nX-Space: \t \r\nCookie: a=b; c=d\r\n\r\n',
  'M-SEARCH /%C3%A9/../a;b=c//d HTTP/1.1\r\nhOST:a\r\nX-Latin: \xe9\xff\r\n\r\n',
]

test('the request parser: no throw, one verdict for every split, agreement with a second reader', () => {
  const random = createRandom(SEED)
  const budget = new Budget(40_000)
  let accepted = 0
  let bodies = 0
  while (budget.next()) {
    const text = mutate(CORPUS, random)
    const bytes = Buffer.from(text, 'latin1')
    const label = `seed ${SEED} case ${budget.ran}: ${JSON.stringify(text)}`
    const head = new RequestHead()
    const end = parseRequestHead(bytes, 0, bytes.length, head, LIMITS)
    checkSplits(bytes, end, head, random, label)
    if (typeof end !== 'number') continue
    accepted++
    assert.doesNotMatch(head.fields.text, /\r(?!\n)|(?<!\r)\n|\0/, `bare CR, LF or NUL, ${label}`)
    const second = readRequest(text)
    assert.notEqual(second, second === 'invalid' && head.bodyLength !== CHUNKED ? 'invalid' : null, label)
    if (checkBody(bytes, end, head, second, label)) bodies++
    checkForwarded(head, random, label)
  }
  assert.ok(accepted > budget.ran / 5 && bodies > budget.ran / 50, `${accepted} accepted, ${bodies} with bodies`)
})

function describe(end: number | string | null, head: RequestHead): unknown {
  if (typeof end !== 'number') return end
  const { method, target, minor, host, bodyLength, keepAlive, expectContinue, upgrade, teTrailers, fields } = head
  const lines = Array.from({ length: fields.count }, (_, i) => [
    fields.name(i),
    fields.value(i),
    fields.ids[i],
    fields.flags[i],
  ])
  return { end, method, target, minor, host, bodyLength, keepAlive, expectContinue, upgrade, teTrailers, lines }
}

/** The same bytes in pieces, and not at the beginning of their buffer. */
function checkSplits(
  bytes: Buffer,
  end: number | string | null,
  head: RequestHead,
  random: Random,
  label: string,
): void {
  const whole = describe(end, head)
  const shifted = Buffer.concat([Buffer.from('GET'), bytes, Buffer.from('\r\n\r\n')])
  const other = new RequestHead()
  const moved = parseRequestHead(shifted, 3, 3 + bytes.length, other, LIMITS)
  assert.deepEqual(describe(typeof moved === 'number' ? moved - 3 : moved, other), whole, `moved, ${label}`)
  const ends = random(3) === 0 ? Array.from({ length: bytes.length }, (_, i) => i + 1) : cuts(bytes.length, random)
  // A head that is used again must not remember what it held before.
  const used = other
  for (const cut of ends) {
    const found = parseRequestHead(bytes, 0, cut, used, LIMITS)
    if (found === null) continue
    // A head that is too large may be found to be so before its other faults are seen.
    if (found !== 'header-too-large' || typeof whole !== 'string')
      assert.deepEqual(describe(found, used), whole, `cut, ${label}`)
    return
  }
  assert.equal(whole, null, `never decided in pieces, ${label}`)
}

/** Reads the body as the connection would; true when there was one to compare. */
function checkBody(
  bytes: Buffer,
  end: number,
  head: RequestHead,
  second: ReturnType<typeof readRequest>,
  label: string,
): boolean {
  if (head.bodyLength !== CHUNKED) {
    if (second === 'more') {
      assert.ok(bytes.length < end + head.bodyLength, `more, ${label}`)
      return false
    }
    const message = second as Message
    assert.equal(message.length, end + head.bodyLength, `end of the message, ${label}`)
    assert.equal(message.body, bytes.latin1Slice(end, end + head.bodyLength), label)
    return head.bodyLength > 0
  }
  const decoder = new ChunkDecoder()
  let at = end
  let body = ''
  for (;;) {
    const found = decoder.next(bytes, at, bytes.length)
    at = decoder.position
    if (found === CHUNK_DATA) body += bytes.latin1Slice(decoder.dataStart, decoder.dataEnd)
    else if (found === CHUNK_DONE) {
      assert.ok(typeof second !== 'string', `we see an end, the second reader ${second}: ${label}`)
      assert.deepEqual([at, body], [second.length, second.body], label)
      return true
    } else {
      // We may be stricter and see a fault earlier; an end that only the second reader sees would be a fault of ours.
      if (found === CHUNK_MORE) assert.equal(second, 'more', label)
      return false
    }
  }
}

const TRUSTED = new CidrSet(['192.0.2.0/24'])

/** What goes to the endpoint reads the same again, for us and for the second reader. */
function checkForwarded(head: RequestHead, random: Random, label: string): void {
  const exchange = exchangeOf(head, random(2) === 0)
  if (exchange.pathRefusal !== null) return
  const text = requestText(exchange, random(8) === 0 ? 'rewritten.test' : null)
  const bytes = Buffer.from(text, 'latin1')
  const again = new RequestHead()
  const end = parseRequestHead(bytes, 0, bytes.length, again, {
    ...LIMITS,
    headBytes: 65_536,
    headers: 100,
    urlBytes: 8192,
  })
  if (exchange.authority === '' && !text.includes('Host: rewritten')) {
    // HTTP/1.0 without Host: an empty one is sent on (RFC 9112 3.2).
    assert.equal(end, 'host-invalid', label)
    return
  }
  assert.equal(end, bytes.length, `forwarded ${JSON.stringify(text)}, ${label}`)
  assert.deepEqual(
    [again.method, again.target, again.bodyLength],
    [head.method, exchange.targetOut, head.bodyLength],
    label,
  )
  assert.equal(again.upgrade, head.upgrade, label)
  const second = readRequest(text)
  const framing = head.bodyLength === CHUNKED || head.bodyLength > 0 ? 'more' : 'message'
  assert.equal(typeof second === 'string' ? second : 'message', framing, label)
  for (const name of ['x-forwarded-for', 'x-forwarded-proto', 'forwarded', 'x-request-id', 'host']) {
    assert.equal(countOf(again, name), 1, `${name} once, ${label}`)
  }
  for (const name of ['content-length', 'transfer-encoding']) assert.ok(countOf(again, name) <= 1, label)
  for (const name of ['x_forwarded_for', 'keep-alive', 'proxy-connection', 'http2-settings']) {
    assert.equal(countOf(again, name), 0, `${name}, ${label}`)
  }
}

function countOf(head: RequestHead, name: string): number {
  let count = 0
  for (let i = 0; i < head.fields.count; i++) if (head.fields.name(i).toLowerCase() === name) count++
  return count
}

function exchangeOf(head: RequestHead, trusted: boolean): Exchange {
  const connection = new ConnectionInfo('fuzz', '192.0.2.1', 1, 'http', null, null, trusted ? TRUSTED : null)
  const exchange = new Exchange(connection, { head } as ClientStream, null as never, null as never)
  exchange.id = 'id'
  identify(exchange)
  readTarget(exchange)
  exchange.targetOut = exchange.path + (exchange.hasQuery ? `?${exchange.query}` : '')
  return exchange
}

test('through the edge: what node:http accepts behind it is what was sent, message by message', {
  timeout: 900_000,
}, async () => {
  const random = createRandom(SEED + 1)
  const budget = new Budget(800)
  let seen: { method: string; url: string; body: string }[] = []
  const server = createServer((request, response) => {
    const one = { method: request.method ?? '', url: request.url ?? '', body: '' }
    request.setEncoding('latin1')
    request.on('data', (part: string) => {
      one.body += part
    })
    request.on('end', () => {
      seen.push(one)
      response.end('ok')
    })
    request.on('error', () => {})
  })
  // Half of an upgrade is not what is compared here.
  server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const edge = await EdgeInProcess.start({ limits: LIMITS }, [port])
  let compared = 0
  try {
    while (budget.next()) {
      let text = mutate(CORPUS, random)
      if (random(4) === 0) text += mutate(CORPUS, random)
      const label = `seed ${SEED + 1} case ${budget.ran}: ${JSON.stringify(text)}`
      seen = []
      const client = await edge.connect()
      const bytes = Buffer.from(text, 'latin1')
      const ends = random(3) === 0 ? cuts(bytes.length, random) : [bytes.length]
      let at = 0
      for (const cut of ends) {
        client.send(bytes.subarray(at, cut))
        at = cut
        if (random(4) === 0) await new Promise<void>((resolve) => setImmediate(resolve))
      }
      client.end()
      await client.untilOver(label)
      client.close()
      const expected = expectedOf(text)
      let from = 0
      for (const one of seen) {
        const found = expected.findIndex(
          (e, i) => i >= from && e.method === one.method && e.url === one.url && e.body === one.body,
        )
        assert.ok(found >= 0, `the endpoint saw ${JSON.stringify(one)}, expected ${JSON.stringify(expected)}, ${label}`)
        from = found + 1
        compared++
      }
      // No client's bytes may be left over for the next one.
      for (const one of edge.ended) assert.ok(one.outcome !== 'internal-error', label)
    }
    assert.ok(compared > budget.ran / 5, `${compared} compared`)
    await edge.close()
  } finally {
    edge.stop()
    server.closeAllConnections()
    server.close()
  }
})

/** The requests of a connection by the second reader, with the target as it is forwarded. */
function expectedOf(text: string): { method: string; url: string; body: string }[] {
  const found: { method: string; url: string; body: string }[] = []
  let rest = text
  while (rest !== '') {
    const next = readRequest(rest)
    if (typeof next === 'string') break
    const [method, target] = next.startLine.split(' ') as [string, string]
    const head = new RequestHead()
    head.method = method
    head.target = target
    found.push({ method, url: exchangeOf(head, false).targetOut, body: next.body })
    rest = rest.slice(next.length)
  }
  return found
}
