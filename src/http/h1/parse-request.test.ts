import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHUNKED, RequestHead } from '../message.ts'
import { parseRequestHead } from './parse-request.ts'

const LIMITS = { headBytes: 1024, headers: 20, urlBytes: 200, bodyBytes: 1000 }
const H = 'Host: a\r\n'

/** Reads text whole and byte by byte: both must say the same. */
function parse(text: string): { result: number | string | null; head: RequestHead } {
  const bytes = Buffer.from(text, 'latin1')
  const head = new RequestHead()
  const result = parseRequestHead(bytes, 0, bytes.length, head, LIMITS)
  let piecewise: number | string | null = null
  for (let end = 1; end <= bytes.length && piecewise === null; end++) {
    piecewise = parseRequestHead(bytes, 0, end, new RequestHead(), LIMITS)
  }
  if (piecewise !== 'header-too-large') assert.equal(piecewise, result, `byte by byte: ${JSON.stringify(text)}`)
  return { result, head }
}

type Expected = string | null | Partial<RequestHead>
type Case = readonly [section: string, text: string, expected: Expected]

/** A string is the reason of refusal, null means that more is needed, an object what an accepted head must be. */
const CASES: readonly Case[] = [
  // --- RFC 9112 2.2: line ends
  [
    '2.2',
    `GET / HTTP/1.1\r\n${H}\r\n`,
    { method: 'GET', target: '/', minor: 1, host: 'a', bodyLength: 0, keepAlive: true },
  ],
  ['2.2', `\r\nGET / HTTP/1.1\r\n${H}\r\n`, { method: 'GET' }],
  ['2.2', `\r\n\r\nGET / HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.2', `\nGET / HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.2', `\rGET / HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.2', `GET / HTTP/1.1\n${H}\r\n`, 'request-line-invalid'],
  ['2.2', `GET / HTTP/1.1\r${H}\r\n`, 'request-line-invalid'],
  ['2.2', `GET / HTTP/1.1\r\nHost: a\n\r\n`, 'header-invalid'],
  ['2.2', `GET / HTTP/1.1\r\n${H}\n`, 'header-invalid'],
  ['2.2', `GET / HTTP/1.1\r\n\r\n${H}\r\n`, 'host-invalid'],
  ['2.2', ` GET / HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.2', `GET / HTTP/1.1\r\n ${H}\r\n`, 'header-invalid'],
  ['2.2', '\r', null],
  ['2.2', '\r\n', null],
  ['2.2', '\r\n\r', null],
  ['2.2', '\r\n\r\n', 'request-line-invalid'],
  ['2.2', '\0', 'request-line-invalid'],
  // --- RFC 9112 3: request line
  ['3', 'G', null],
  ['3', 'GET', null],
  ['3', 'GET ', null],
  ['3', 'GET /', null],
  ['3', 'GET / ', null],
  ['3', 'GET / HTTP/1.', null],
  ['3', 'GET / HTTP/1.1', null],
  ['3', 'GET / HTTP/1.1\r', null],
  ['3', 'GET / HTTP/1.1\r\n', null],
  ['3', `GET / HTTP/1.1\r\n${H}`, null],
  ['3', `GET / HTTP/1.1\r\n${H}\r`, null],
  ['3', 'GET\r\n', 'request-line-invalid'],
  ['3', 'GET /\r\n', 'request-line-invalid'],
  ['3', `GET  / HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3', `GET /  HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3', `GET\t/ HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3', `GET /\tHTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3', `GET / HTTP/1.1 \r\n${H}\r\n`, 'request-line-invalid'],
  ['3', `GET / HTTP/1.1\t\r\n${H}\r\n`, 'request-line-invalid'],
  ['3', `GET / a HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3', `GET /\x0bHTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3', `GET /\xa0HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  // --- RFC 9110 9.1: methods are case-sensitive tokens
  ['3.1', `get / HTTP/1.1\r\n${H}\r\n`, { method: 'get' }],
  ['3.1', `FROBNICATE / HTTP/1.1\r\n${H}\r\n`, { method: 'FROBNICATE' }],
  ['3.1', `M-SEARCH / HTTP/1.1\r\n${H}\r\n`, { method: 'M-SEARCH' }],
  ['3.1', `!#$%&'*+-.^_\`|~ / HTTP/1.1\r\n${H}\r\n`, { method: "!#$%&'*+-.^_`|~" }],
  ['3.1', `${'A'.repeat(32)} / HTTP/1.1\r\n${H}\r\n`, { method: 'A'.repeat(32) }],
  ['3.1', `${'A'.repeat(33)} / HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.1', 'A'.repeat(33), 'request-line-invalid'],
  ['3.1', `G\xc9T / HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.1', `GE(T / HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.1', `GE:T / HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.1', `GE\0T / HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['9110 9.3.6', `CONNECT a:443 HTTP/1.1\r\n${H}\r\n`, 'method-refused'],
  ['9110 9.3.6', `CONNECT / HTTP/1.1\r\n${H}\r\n`, 'method-refused'],
  ['9110 9.3.8', `TRACE / HTTP/1.1\r\n${H}\r\n`, 'method-refused'],
  ['9110 9.3.8', `trace / HTTP/1.1\r\n${H}\r\n`, { method: 'trace' }],
  // --- RFC 9112 3.2: targets
  ['3.2.1', `GET /a?b=c HTTP/1.1\r\n${H}\r\n`, { target: '/a?b=c' }],
  ['3.2.1', `GET // HTTP/1.1\r\n${H}\r\n`, { target: '//' }],
  ['3.2.1', `GET /a"<>^\`{|}\\ HTTP/1.1\r\n${H}\r\n`, { target: '/a"<>^`{|}\\' }],
  ['3.2.1', `GET /\xc3\xa9\xff HTTP/1.1\r\n${H}\r\n`, { target: '/\xc3\xa9\xff' }],
  ['3.2.1', `GET /\x7f HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.1', `GET /\0 HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.1', `GET /\x1f HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.1', `GET a HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.1', `GET ?a HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.1', `GET \\a HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.1', `GET a.test:80 HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.2', `GET http://b.test/x HTTP/1.1\r\n${H}\r\n`, { target: 'http://b.test/x', host: 'b.test' }],
  ['3.2.2', `GET HTTP://b.test HTTP/1.1\r\n${H}\r\n`, { host: 'b.test' }],
  ['3.2.2', `GET https://b.test:8443?x HTTP/1.1\r\n${H}\r\n`, { host: 'b.test:8443' }],
  ['3.2.2', `GET http://[::1]:1/ HTTP/1.1\r\n${H}\r\n`, { host: '[::1]:1' }],
  ['3.2.2', 'GET http://b.test/ HTTP/1.1\r\n\r\n', 'host-invalid'],
  ['3.2.2', 'GET http://b.test/ HTTP/1.0\r\n\r\n', { host: 'b.test' }],
  ['3.2.2', `GET http:/// HTTP/1.1\r\n${H}\r\n`, 'host-invalid'],
  ['3.2.2', `GET http:// HTTP/1.1\r\n${H}\r\n`, 'host-invalid'],
  ['3.2.2', `GET http:/b/ HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.2', `GET http://user@b/ HTTP/1.1\r\n${H}\r\n`, 'host-invalid'],
  ['3.2.2', `GET http://b\\@c/ HTTP/1.1\r\n${H}\r\n`, 'host-invalid'],
  ['3.2.2', `GET http://b:0/ HTTP/1.1\r\n${H}\r\n`, 'host-invalid'],
  ['3.2.2', `GET http://b#x HTTP/1.1\r\n${H}\r\n`, { host: 'b' }],
  ['3.2.2', `GET ftp://b/ HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.2', `GET ws://b/ HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.4', `OPTIONS * HTTP/1.1\r\n${H}\r\n`, { target: '*' }],
  ['3.2.4', `GET * HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3.2.4', `OPTIONS ** HTTP/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['3', `GET /${'a'.repeat(199)} HTTP/1.1\r\n${H}\r\n`, { target: `/${'a'.repeat(199)}` }],
  ['3', `GET /${'a'.repeat(200)} HTTP/1.1\r\n${H}\r\n`, 'url-too-long'],
  ['3', `GET /${'a'.repeat(200)}`, 'url-too-long'],
  // --- RFC 9112 2.3: version
  ['2.3', `GET / HTTP/1.0\r\n${H}\r\n`, { minor: 0, keepAlive: false }],
  ['2.3', `GET / HTTP/1.2\r\n${H}\r\n`, 'version-unsupported'],
  ['2.3', `GET / HTTP/2.0\r\n${H}\r\n`, 'version-unsupported'],
  ['2.3', `GET / HTTP/0.9\r\n${H}\r\n`, 'version-unsupported'],
  ['2.3', `GET / HTTP/9.9\r\n${H}\r\n`, 'version-unsupported'],
  ['2.3', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'version-unsupported'],
  ['2.3', `GET / http/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.3', `GET / Http/1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.3', `GET / HTTP/1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.3', `GET / HTTP/1.10\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.3', `GET / HTTP/11.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.3', `GET / HTTP/01.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.3', `GET / HTTP/1,1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.3', `GET / HTTP/-1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.3', `GET / HTTP /1.1\r\n${H}\r\n`, 'request-line-invalid'],
  ['2.3', `GET / HTTQ`, 'request-line-invalid'],
  // --- RFC 9112 5: fields
  ['5.1', `GET / HTTP/1.1\r\n${H}A : b\r\n\r\n`, 'header-invalid'],
  ['5.1', `GET / HTTP/1.1\r\n${H}A\r\n\r\n`, 'header-invalid'],
  ['5.1', `GET / HTTP/1.1\r\n${H}: b\r\n\r\n`, 'header-invalid'],
  ['5.1', `GET / HTTP/1.1\r\nHost : a\r\n\r\n`, 'header-invalid'],
  ['5.2', `GET / HTTP/1.1\r\n${H} b\r\n\r\n`, 'header-invalid'],
  ['5.2', `GET / HTTP/1.1\r\n${H}\tb\r\n\r\n`, 'header-invalid'],
  ['9110 5.5', `GET / HTTP/1.1\r\n${H}A: \0\r\n\r\n`, 'header-invalid'],
  ['9110 5.5', `GET / HTTP/1.1\r\n${H}A: b\rc\r\n\r\n`, 'header-invalid'],
  ['9110 5.5', `GET / HTTP/1.1\r\n${H}A: \xff\r\n\r\n`, {}],
  ['9110 5.1', `GET / HTTP/1.1\r\n${H}\xff: b\r\n\r\n`, 'header-invalid'],
  ['9110 5.4', `GET / HTTP/1.1\r\n${H}${'A: b\r\n'.repeat(19)}\r\n`, {}],
  ['9110 5.4', `GET / HTTP/1.1\r\n${H}${'A: b\r\n'.repeat(20)}\r\n`, 'header-too-many'],
  ['9110 5.4', `GET / HTTP/1.1\r\n${H}A: ${'b'.repeat(1100)}\r\n\r\n`, 'header-too-large'],
  ['9110 5.4', `GET / HTTP/1.1\r\n${H}A: ${'b'.repeat(1100)}`, 'header-too-large'],
  // --- RFC 9112 3.2: Host
  ['3.2', 'GET / HTTP/1.1\r\n\r\n', 'host-invalid'],
  ['3.2', 'GET / HTTP/1.0\r\n\r\n', { host: '' }],
  ['3.2', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 'host-invalid'],
  ['3.2', 'GET / HTTP/1.0\r\nHost:\r\n\r\n', 'host-invalid'],
  ['3.2', `GET / HTTP/1.1\r\n${H}${H}\r\n`, 'host-invalid'],
  ['3.2', `GET / HTTP/1.1\r\n${H}hOST: b\r\n\r\n`, 'host-invalid'],
  ['3.2', 'GET / HTTP/1.1\r\nHost: a,b\r\n\r\n', 'host-invalid'],
  ['3.2', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 'host-invalid'],
  ['3.2', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 'host-invalid'],
  ['3.2', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 'host-invalid'],
  ['3.2', 'GET / HTTP/1.1\r\nHost: a:b\r\n\r\n', 'host-invalid'],
  ['3.2', 'GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n', { host: '[::1]:80' }],
  ['3.2', 'GET / HTTP/1.1\r\nHost: \t A.b:8080 \t\r\n\r\n', { host: 'A.b:8080' }],
  ['3.2', `GET / HTTP/1.1\r\nH_ost: b\r\n${H}\r\n`, { host: 'a' }],
  // --- RFC 9112 6.2: Content-Length
  ['6.2', `POST / HTTP/1.1\r\n${H}Content-Length: 5\r\n\r\n`, { bodyLength: 5 }],
  ['6.2', `GET / HTTP/1.1\r\n${H}Content-Length: 5\r\n\r\n`, { bodyLength: 5 }],
  ['6.2', `POST / HTTP/1.1\r\n${H}Content-Length: 0\r\n\r\n`, { bodyLength: 0 }],
  ['6.2', `POST / HTTP/1.0\r\n${H}Content-Length: 5\r\n\r\n`, { bodyLength: 5 }],
  ['6.2', `POST / HTTP/1.1\r\n${H}content-LENGTH:5\r\n\r\n`, { bodyLength: 5 }],
  ['6.2', `POST / HTTP/1.1\r\n${H}Content_Length: 5\r\n\r\n`, { bodyLength: 0 }],
  ['6.3', `POST / HTTP/1.1\r\n${H}\r\n`, { bodyLength: 0 }],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length:\r\n\r\n`, 'framing-invalid'],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length: +5\r\n\r\n`, 'framing-invalid'],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length: -5\r\n\r\n`, 'framing-invalid'],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length: 0x5\r\n\r\n`, 'framing-invalid'],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length: 5 5\r\n\r\n`, 'framing-invalid'],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length: 5,5\r\n\r\n`, 'framing-invalid'],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length: 5, 6\r\n\r\n`, 'framing-invalid'],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length: 5;\r\n\r\n`, 'framing-invalid'],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length: 18446744073709551621\r\n\r\n`, 'framing-invalid'],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`, 'framing-invalid'],
  ['6.3', `POST / HTTP/1.1\r\n${H}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`, 'framing-invalid'],
  // --- RFC 9112 6.1: Transfer-Encoding
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`, { bodyLength: CHUNKED }],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding:\tCHUNKED \r\n\r\n`, { bodyLength: CHUNKED }],
  ['6.1', `GET / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`, { bodyLength: CHUNKED }],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer_Encoding: chunked\r\n\r\n`, { bodyLength: 0 }],
  ['6.1', `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n`, 'framing-invalid'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`, 'framing-invalid'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n`, 'framing-invalid'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`, 'framing-invalid'],
  [
    '6.1',
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n`,
    'framing-invalid',
  ],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: identity\r\n\r\n`, 'transfer-coding-unsupported'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip, chunked\r\n\r\n`, 'transfer-coding-unsupported'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, gzip\r\n\r\n`, 'transfer-coding-unsupported'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, chunked\r\n\r\n`, 'transfer-coding-unsupported'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n\r\n`, 'transfer-coding-unsupported'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: "chunked"\r\n\r\n`, 'transfer-coding-unsupported'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked;a=b\r\n\r\n`, 'transfer-coding-unsupported'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: ,chunked\r\n\r\n`, 'transfer-coding-unsupported'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding:\r\n\r\n`, 'transfer-coding-unsupported'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\xa0\r\n\r\n`, 'transfer-coding-unsupported'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding: \x0bchunked\r\n\r\n`, 'header-invalid'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding : chunked\r\n\r\n`, 'header-invalid'],
  ['6.1', `POST / HTTP/1.1\r\n${H}Transfer-Encoding:\r\n chunked\r\n\r\n`, 'header-invalid'],
  // --- RFC 9112 9.3: persistence
  ['9.3', `GET / HTTP/1.1\r\n${H}Connection: close\r\n\r\n`, { keepAlive: false }],
  ['9.3', `GET / HTTP/1.1\r\n${H}Connection: keep-alive, CLOSE\r\n\r\n`, { keepAlive: false }],
  ['9.3', `GET / HTTP/1.1\r\n${H}Connection: a\r\nConnection: close\r\n\r\n`, { keepAlive: false }],
  ['9.3', `GET / HTTP/1.1\r\n${H}Connection: keep-alive\r\n\r\n`, { keepAlive: true }],
  ['9.3', `GET / HTTP/1.0\r\n${H}Connection: Keep-Alive\r\n\r\n`, { keepAlive: true }],
  ['9.3', `GET / HTTP/1.0\r\n${H}Connection: keep-alive, close\r\n\r\n`, { keepAlive: false }],
  // --- RFC 9110 10.1.1: Expect
  ['9110 10.1.1', `POST / HTTP/1.1\r\n${H}Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n`, { expectContinue: true }],
  [
    '9110 10.1.1',
    `POST / HTTP/1.1\r\n${H}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n`,
    { expectContinue: true },
  ],
  ['9110 10.1.1', `GET / HTTP/1.1\r\n${H}Expect: 100-continue\r\n\r\n`, { expectContinue: false }],
  [
    '9110 10.1.1',
    `POST / HTTP/1.0\r\n${H}Expect: 100-continue\r\nContent-Length: 1\r\n\r\n`,
    { expectContinue: false },
  ],
  ['9110 10.1.1', `GET / HTTP/1.1\r\n${H}Expect: 200-ok\r\n\r\n`, 'expectation-failed'],
  ['9110 10.1.1', `GET / HTTP/1.1\r\n${H}Expect: 100-continue, x\r\n\r\n`, 'expectation-failed'],
  [
    '9110 10.1.1',
    `POST / HTTP/1.1\r\n${H}Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n`,
    'expectation-failed',
  ],
  // --- RFC 9110 7.8: Upgrade
  ['9110 7.8', `GET / HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n`, { upgrade: 'websocket' }],
  ['9110 7.8', `GET / HTTP/1.1\r\n${H}Connection: keep-alive, upgrade\r\nUpgrade: foo/2\r\n\r\n`, { upgrade: 'foo/2' }],
  ['9110 7.8', `GET / HTTP/1.1\r\n${H}Upgrade: websocket\r\n\r\n`, { upgrade: null }],
  ['9110 7.8', `GET / HTTP/1.1\r\n${H}Connection: upgrade\r\n\r\n`, { upgrade: null }],
  ['9110 7.8', `GET / HTTP/1.0\r\n${H}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`, { upgrade: null }],
  ['9110 7.8', `GET / HTTP/1.1\r\n${H}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n`, { upgrade: null }],
  ['9110 7.8', `GET / HTTP/1.1\r\n${H}Connection: upgrade\r\nUpgrade: TLS/1.0\r\n\r\n`, { upgrade: null }],
  ['9110 7.8', `GET / HTTP/1.1\r\n${H}Connection: upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n`, { upgrade: null }],
  ['9110 7.8', `GET / HTTP/1.1\r\n${H}Connection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n`, { upgrade: null }],
  ['9110 7.8', `GET / HTTP/1.1\r\n${H}Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n`, 'header-invalid'],
  [
    '9110 7.8',
    `POST / HTTP/1.1\r\n${H}Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\n`,
    { upgrade: null },
  ],
  // --- RFC 9110 10.1.4: TE
  ['9110 10.1.4', `GET / HTTP/1.1\r\n${H}TE: trailers\r\n\r\n`, { teTrailers: true }],
  ['9110 10.1.4', `GET / HTTP/1.1\r\n${H}TE: gzip;q=0.5 , Trailers\r\n\r\n`, { teTrailers: true }],
  ['9110 10.1.4', `GET / HTTP/1.1\r\n${H}TE: xtrailers\r\n\r\n`, { teTrailers: false }],
]

test('the request table: every case with its section', () => {
  let ran = 0
  for (const [section, text, expected] of CASES) {
    const { result, head } = parse(text)
    const label = `RFC ${section.includes(' ') ? section : `9112 ${section}`}: ${JSON.stringify(text)}`
    if (expected === null || typeof expected === 'string') assert.equal(result, expected, label)
    else {
      assert.equal(result, text.length, label)
      for (const [key, value] of Object.entries(expected))
        assert.equal(head[key as keyof RequestHead], value, `${label}: ${key}`)
    }
    ran++
  }
  assert.equal(ran, CASES.length)
  assert.equal(ran, 197, 'request cases')
})

test('a head that is used again remembers nothing of the request before', () => {
  const head = new RequestHead()
  const rich =
    'POST http://b:1/ HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, x\r\nX: 1\r\nTE: trailers\r\nContent-Length: 3\r\n\r\n'
  const upgrade = `GET /u HTTP/1.1\r\n${H}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`
  const expect = `POST /e HTTP/1.1\r\n${H}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n`
  const plain = `GET / HTTP/1.1\r\n${H}\r\n`
  const fresh = parse(plain).head
  for (const before of [rich, upgrade, expect, 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 'GET']) {
    const bytes = Buffer.from(before)
    parseRequestHead(bytes, 0, bytes.length, head, LIMITS)
    const next = Buffer.from(plain)
    assert.equal(parseRequestHead(next, 0, next.length, head, LIMITS), plain.length)
    for (const key of [
      'method',
      'target',
      'minor',
      'host',
      'bodyLength',
      'keepAlive',
      'expectContinue',
      'upgrade',
      'teTrailers',
    ] as const) {
      assert.equal(head[key], fresh[key], `${key} after ${before}`)
    }
    assert.equal(head.fields.write(0), H)
  }
})

test('a Host that was refused once is refused again by the same head', () => {
  const head = new RequestHead()
  for (const host of ['a@b', 'a@b', 'a', 'a@b']) {
    const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    const result = parseRequestHead(bytes, 0, bytes.length, head, LIMITS)
    assert.equal(result, host === 'a' ? bytes.length : 'host-invalid')
  }
})

test('without a limit of its own the request line is bounded by that of the head', () => {
  const limits = { ...LIMITS, urlBytes: Number.POSITIVE_INFINITY }
  const bytes = Buffer.from(`GET /${'a'.repeat(2000)}`)
  assert.equal(parseRequestHead(bytes, 0, bytes.length, new RequestHead(), limits), 'header-too-large')
  assert.equal(parseRequestHead(bytes, 0, 1000, new RequestHead(), limits), null)
})
