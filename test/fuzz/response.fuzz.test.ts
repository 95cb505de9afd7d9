/**
 * Fuzzes the response side: the parser against a second reader, and what a client sees behind the edge of endpoints gone mad.
 *
 * Longer: `SALLYPORT_FUZZ_SECONDS=600 SALLYPORT_FUZZ_SEED=7 node --test test/fuzz/response.fuzz.test.ts`
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { INCOMPLETE } from '../../src/http/h1/parse-fields.ts'
import { parseResponseHead, RESPONSE_INVALID } from '../../src/http/h1/parse-response.ts'
import { CHUNKED, ResponseHead, UNTIL_CLOSE } from '../../src/http/message.ts'
import { EdgeInProcess } from '../support/edge-in-process.ts'
import { Budget, createRandom, cuts, mutate, SEED } from '../support/fuzz.ts'
import { type Message, readResponse, statusOf } from '../support/second-reader.ts'
import { RawEndpoint } from '../support/wire.ts'

const CORPUS: readonly string[] = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n3;x\r\nabc\r\n0\r\nX-T: 1\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\nuntil the end',
  'HTTP/1.0 200 OK\r\n\r\nold body',
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok',
  'HTTP/1.1 204 No Content\r\nDate: now\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 99\r\n\r\n',
  'HTTP/1.1 404 N\xe9\r\nServer: x\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 4\r\n\r\ngone',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbytes',
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
]

function describe(end: number, head: ResponseHead): unknown {
  if (end < 0) return end
  const { status, reason, minor, bodyLength, contentLength, keepAlive, upgrade, fields } = head
  const lines = Array.from({ length: fields.count }, (_, i) => [
    fields.name(i),
    fields.value(i),
    fields.ids[i],
    fields.flags[i],
  ])
  return { end, status, reason, minor, bodyLength, contentLength, keepAlive, upgrade, lines }
}

test('the response parser: no throw, one verdict for every split, agreement with a second reader', () => {
  const random = createRandom(SEED)
  const budget = new Budget(40_000)
  let accepted = 0
  while (budget.next()) {
    const text = mutate(CORPUS, random)
    const method = random(5) === 0 ? 'HEAD' : 'GET'
    const label = `seed ${SEED} case ${budget.ran}, ${method}: ${JSON.stringify(text)}`
    const bytes = Buffer.from(text, 'latin1')
    const head = new ResponseHead()
    const end = parseResponseHead(bytes, 0, bytes.length, head, method === 'HEAD')
    const whole = describe(end, head)
    const used = new ResponseHead()
    const shifted = Buffer.concat([Buffer.from('HTTP'), bytes, Buffer.from('\r\n\r\n')])
    const moved = parseResponseHead(shifted, 4, 4 + bytes.length, used, method === 'HEAD')
    assert.deepEqual(describe(moved < 0 ? moved : moved - 4, used), whole, `moved, ${label}`)
    let found = INCOMPLETE
    const everywhere = random(3) === 0
    for (const cut of everywhere ? Array.from({ length: bytes.length }, (_, i) => i + 1) : cuts(bytes.length, random)) {
      found = parseResponseHead(bytes, 0, cut, used, method === 'HEAD')
      if (found !== INCOMPLETE) break
    }
    assert.deepEqual(describe(found, used), whole, `in pieces, ${label}`)
    if (end < 0) {
      assert.ok(end === INCOMPLETE || end === RESPONSE_INVALID)
      continue
    }
    accepted++
    assert.doesNotMatch(head.fields.text, /\r(?!\n)|(?<!\r)\n|\0/, label)
    checkBoundary(text, end, head, method, label)
  }
  assert.ok(accepted > budget.ran / 5, `${accepted} accepted`)
})

/** Where the second reader sees the body begin and end. */
function checkBoundary(text: string, end: number, head: ResponseHead, method: string, label: string): void {
  const second = readResponse(text, method, true)
  if (head.bodyLength === CHUNKED) {
    if (typeof second !== 'string') assert.equal(second.framing, 'chunked', label)
    return
  }
  if (head.bodyLength > 0 && text.length < end + head.bodyLength) {
    assert.equal(second, 'more', label)
    return
  }
  assert.ok(typeof second !== 'string', `the second reader says ${second}: ${label}`)
  assert.equal(statusOf(second.startLine), head.status, label)
  if (head.bodyLength === UNTIL_CLOSE)
    assert.deepEqual([second.framing, second.body], ['close', text.slice(end)], label)
  else
    assert.deepEqual(
      [second.length, second.body],
      [end + head.bodyLength, text.slice(end, end + head.bodyLength)],
      label,
    )
}

test('through the edge: a client never sees as whole what the endpoint did not send as whole', {
  timeout: 900_000,
}, async () => {
  const random = createRandom(SEED + 1)
  const budget = new Budget(800)
  const endpoint = await RawEndpoint.start()
  const edge = await EdgeInProcess.start({}, [endpoint.port])
  let whole = 0
  let refused = 0
  try {
    while (budget.next()) {
      const text = mutate(CORPUS, random)
      const method = random(5) === 0 ? 'HEAD' : 'GET'
      const version = random(5) === 0 ? '1.0' : '1.1'
      const reset = random(4) === 0
      const label = `seed ${SEED + 1} case ${budget.ran}, ${method} ${version} ${reset}: ${JSON.stringify(text)}`
      const client = await edge.connect()
      client.send(`${method} /f HTTP/${version}\r\nHost: a\r\n\r\n`)
      const upstream = await endpoint.next()
      await upstream.untilText('\r\n\r\n')
      let at = 0
      for (const cut of random(3) === 0 ? cuts(text.length, random) : [text.length]) {
        upstream.send(text.slice(at, cut))
        at = cut
        if (random(3) === 0) await new Promise<void>((resolve) => setImmediate(resolve))
      }
      if (reset) upstream.socket.resetAndDestroy()
      else upstream.end()
      // The next request on this connection must get its own answer, if the connection lives on.
      client.send('GET /fixed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      await client.untilOver(label)
      const outcome = checkClient(client.text, method, client.error !== null, finalOf(text, method, !reset), label)
      if (outcome === 'whole') whole++
      if (outcome === 'refused') refused++
      client.close()
      upstream.close()
    }
    assert.ok(whole > budget.ran / 5 && refused > budget.ran / 20, `${whole} whole, ${refused} refused`)
    await edge.close()
  } finally {
    edge.stop()
    endpoint.close()
  }
})

/** What the endpoint sent as its final response, by the second reader; null if that is none. */
function finalOf(text: string, method: string, ended: boolean): Message | null {
  let rest = text
  for (let interims = 0; interims <= 16; interims++) {
    const next = readResponse(rest, method, ended)
    if (typeof next === 'string') return null
    const status = statusOf(next.startLine)
    if (status >= 200) return next
    if (status === 101) return null
    rest = rest.slice(next.length)
  }
  return null
}

function checkClient(text: string, method: string, broken: boolean, sent: Message | null, label: string): string {
  let rest = text
  for (;;) {
    // A broken connection ends nothing.
    const next = readResponse(rest, method, !broken)
    if (typeof next === 'string') {
      assert.equal(next, 'more', `the edge itself sent ${JSON.stringify(text)}: ${label}`)
      return 'half'
    }
    if (statusOf(next.startLine) < 200) {
      rest = rest.slice(next.length)
      continue
    }
    rest = rest.slice(next.length)
    // What comes behind is the answer to the second request, or nothing.
    if (rest !== '') {
      const fixed = readResponse(rest, 'GET', true)
      assert.ok(
        typeof fixed !== 'string' && fixed.body === 'fixed' && fixed.length === rest.length,
        `${JSON.stringify(text)}: ${label}`,
      )
    }
    if (next.fields.some(([name, value]) => name === 'Content-Type' && value === 'application/problem+json')) {
      assert.equal(statusOf(next.startLine), 502, label)
      return 'refused'
    }
    assert.ok(sent !== null, `whole for the client: ${JSON.stringify(text)}, ${label}`)
    assert.equal(statusOf(next.startLine), statusOf(sent.startLine), label)
    assert.equal(next.body, sent.body, label)
    return 'whole'
  }
}
