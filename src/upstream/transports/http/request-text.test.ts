import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CidrSet } from '../../../base/cidr.ts'
import { ConnectionInfo } from '../../../core/connection-info.ts'
import { Exchange } from '../../../core/exchange.ts'
import type { ClientStream } from '../../../http/client-stream.ts'
import { parseRequestHead } from '../../../http/h1/parse-request.ts'
import { RequestHead } from '../../../http/message.ts'
import { requestText } from './request-text.ts'

const LIMITS = { headBytes: 65_536, headers: 100, urlBytes: 1000, bodyBytes: 0 }
const TOLD =
  'X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nForwarded: for=192.0.2.1\r\nX-Request-Id: own\r\n'

/** What goes out for a request, without the lines that every request gets. */
function forwarded(request: string, trusted = false, host: string | null = null): string {
  const head = new RequestHead()
  const bytes = Buffer.from(request, 'latin1')
  assert.equal(parseRequestHead(bytes, 0, bytes.length, head, LIMITS), bytes.length, request)
  const proxies = trusted ? new CidrSet(['192.0.2.0/24']) : null
  const connection = new ConnectionInfo('t', '192.0.2.1', 1, 'http', null, null, proxies)
  const exchange = new Exchange(connection, { head } as ClientStream, null as never, null as never)
  exchange.authority = head.host
  exchange.targetOut = '/out?q'
  exchange.forwardedFields = TOLD
  const text = requestText(exchange, host)
  assert.ok(text.endsWith('\r\n\r\n'))
  assert.equal(text.split(TOLD).length, 2, 'who called is told once')
  return text.replace(TOLD, '')
}

const G = 'GET /in HTTP/1.1\r\nHost: a:1\r\n'
const OUT = 'GET /out?q HTTP/1.1\r\nHost: a:1\r\n'

test('a request goes out as it came, but for the target', () => {
  assert.equal(forwarded(`${G}Accept: x\r\nX-Odd:  y \r\n\r\n`), `${OUT}Accept: x\r\nX-Odd:  y \r\n\r\n`)
})

test('fields of one connection and those it names do not pass (RFC 9110 7.6.1)', () => {
  const lines =
    'Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nTE: gzip\r\nUpgrade: x\r\nHTTP2-Settings: x\r\n'
  assert.equal(forwarded(`${G}${lines}A: b\r\n\r\n`), `${OUT}A: b\r\n\r\n`)
})

test('who called is not passed on from a stranger, in no spelling', () => {
  const lines =
    'X-Forwarded-For: 1\r\nx_forwarded_for: 1\r\nX-Real-IP: 1\r\nX_Real_IP: 1\r\nForwarded: for=1\r\nCF-Connecting-IP: 1\r\nX-Request-Id: t\r\nX-Original-URL: /admin\r\n'
  assert.equal(forwarded(`${G}${lines}A: b\r\n\r\n`), `${OUT}A: b\r\n\r\n`)
})

test("a trusted proxy's kin of X-Forwarded-For pass, what the edge rewrites does not", () => {
  assert.equal(
    forwarded(`${G}X-Forwarded-For: 1\r\nX-Real-IP: 2\r\nX_Real_IP: 3\r\nX-Forwarded-Port: 443\r\n\r\n`, true),
    `${OUT}X-Real-IP: 2\r\nX-Forwarded-Port: 443\r\n\r\n`,
  )
})

test('framing is kept and said once', () => {
  const post = G.replace('GET', 'POST')
  const out = OUT.replace('GET', 'POST')
  assert.equal(forwarded(`${post}Content-Length: 5\r\n\r\n`), `${out}Content-Length: 5\r\n\r\n`)
  assert.equal(forwarded(`${post}Transfer-Encoding: Chunked\r\n\r\n`), `${out}Transfer-Encoding: chunked\r\n\r\n`)
  assert.equal(
    forwarded(`${post}Connection: content-length, host\r\nContent_Length: 9\r\nContent-Length: 5\r\n\r\n`),
    `${out}Content-Length: 5\r\n\r\n`,
  )
})

test('upgrade and TE: trailers are asked for anew, together with Connection', () => {
  assert.equal(
    forwarded(`${G}Connection: x, Upgrade\r\nUpgrade: WebSocket\r\n\r\n`),
    `${OUT}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  )
  assert.equal(forwarded(`${G}TE: trailers, gzip\r\n\r\n`), `${OUT}TE: trailers\r\nConnection: TE\r\n\r\n`)
})

test('Expect passes with a body and not without', () => {
  const expect = 'Expect: 100-continue\r\n'
  assert.equal(forwarded(`${G}${expect}Content-Length: 1\r\n\r\n`), `${OUT}${expect}Content-Length: 1\r\n\r\n`)
  assert.equal(forwarded(`${G}${expect}\r\n`), `${OUT}\r\n`)
})

test('an old client is spoken for in HTTP/1.1, its Host rewritten where the route says so', () => {
  assert.equal(forwarded('GET /in HTTP/1.0\r\n\r\n'), 'GET /out?q HTTP/1.1\r\nHost: \r\n\r\n')
  assert.equal(forwarded(`${G}\r\n`, false, 'b.test'), 'GET /out?q HTTP/1.1\r\nHost: b.test\r\n\r\n')
})
