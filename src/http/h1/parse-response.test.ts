import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHUNKED, ResponseHead, UNTIL_CLOSE } from '../message.ts'
import { INCOMPLETE } from './parse-fields.ts'
import { parseResponseHead, RESPONSE_INVALID } from './parse-response.ts'

type Case = readonly [section: string, text: string, expected: number | Partial<ResponseHead>, method?: 'HEAD']

const BAD = RESPONSE_INVALID
const OK = 'HTTP/1.1 200 OK\r\n'

/** A number is the result, an object what an accepted head must be. */
const CASES: readonly Case[] = [
  // --- RFC 9112 4: status line
  [
    '4',
    `${OK}\r\n`,
    { status: 200, reason: 'OK', minor: 1, bodyLength: UNTIL_CLOSE, keepAlive: false, contentLength: -1 },
  ],
  ['4', 'HTTP/1.1 200 \r\n\r\n', { status: 200, reason: '' }],
  ['4', 'HTTP/1.1 200\r\n\r\n', { status: 200, reason: '' }],
  ['4', 'HTTP/1.1 200 A longer reason \t x\r\n\r\n', { reason: 'A longer reason \t x' }],
  ['4', 'HTTP/1.1 200 \xe9\xff\r\n\r\n', { reason: '\xe9\xff' }],
  ['4', 'HTTP/1.1 599 X\r\n\r\n', { status: 599 }],
  ['4', 'HTTP/1.0 200 OK\r\n\r\n', { minor: 0, keepAlive: false }],
  ['4', 'HTTP/1.1 999 X\r\n\r\n', { status: 999 }],
  ['4', 'HTTP/1.1 099 X\r\n\r\n', BAD],
  ['4', 'HTTP/1.1 20 OK\r\n\r\n', BAD],
  ['4', 'HTTP/1.1 2000 OK\r\n\r\n', BAD],
  ['4', 'HTTP/1.1 2OO OK\r\n\r\n', BAD],
  ['4', 'HTTP/1.1 -20 OK\r\n\r\n', BAD],
  ['4', 'HTTP/1.1  200 OK\r\n\r\n', BAD],
  ['4', 'HTTP/1.1\t200 OK\r\n\r\n', BAD],
  ['4', 'HTTP/1.1 200\tOK\r\n\r\n', BAD],
  ['4', 'HTTP/1.1 200 O\0K\r\n\r\n', BAD],
  ['4', 'HTTP/1.1 200 O\rK\r\n\r\n', BAD],
  ['4', 'HTTP/1.1 200 OK\n\r\n', BAD],
  ['4', 'HTTP/1.1 200 OK\r\r\n\r\n', BAD],
  ['4', 'HTTP/1.1 200\n\n', BAD],
  ['4', 'http/1.1 200 OK\r\n\r\n', BAD],
  ['4', 'HTTP/1.2 200 OK\r\n\r\n', BAD],
  ['4', 'HTTP/2 200 OK\r\n\r\n', BAD],
  ['4', 'HTTP/2.0 200 OK\r\n\r\n', BAD],
  ['4', ' HTTP/1.1 200 OK\r\n\r\n', BAD],
  ['4', '\r\nHTTP/1.1 200 OK\r\n\r\n', BAD],
  ['4', 'ICY 200 OK\r\n\r\n', BAD],
  ['4', 'SSH-2.0-x\r\n', BAD],
  ['4', '<html>', BAD],
  ['4', 'H', INCOMPLETE],
  ['4', 'HTTP/1.1 200', INCOMPLETE],
  ['4', 'HTTP/1.1 200 O', INCOMPLETE],
  ['4', 'HTTP/1.1 200 OK\r', INCOMPLETE],
  ['4', OK, INCOMPLETE],
  ['4', `${OK}\r`, INCOMPLETE],
  // --- RFC 9112 5: fields
  ['5', `${OK}A: b\r\nC:d\r\n\r\n`, { status: 200 }],
  ['5', `${OK}A : b\r\n\r\n`, BAD],
  ['5', `${OK}A: b\r\n c\r\n\r\n`, BAD],
  ['5', `${OK}A: b\nC: d\r\n\r\n`, BAD],
  ['5', `${OK}A: \0\r\n\r\n`, BAD],
  ['5', `${OK}${'A: b\r\n'.repeat(500)}\r\n`, { status: 200 }],
  ['5', `${OK}${'A: b\r\n'.repeat(501)}\r\n`, BAD],
  ['5', `${OK}A: ${'b'.repeat(65_000)}\r\n\r\n`, { status: 200 }],
  ['5', `${OK}A: ${'b'.repeat(65_536)}\r\n\r\n`, BAD],
  ['5', `${OK}A: ${'b'.repeat(65_536)}`, BAD],
  ['5', `HTTP/1.1 200 ${'b'.repeat(65_536)}`, BAD],
  // --- RFC 9112 6.3: length of the body
  ['6.3', `${OK}Content-Length: 5\r\n\r\n`, { bodyLength: 5, contentLength: 5, keepAlive: true }],
  ['6.3', `${OK}Content-Length: 0\r\n\r\n`, { bodyLength: 0, contentLength: 0, keepAlive: true }],
  ['6.3', `${OK}Transfer-Encoding: Chunked\r\n\r\n`, { bodyLength: CHUNKED, contentLength: -1, keepAlive: true }],
  ['6.3', `${OK}Connection: keep-alive\r\n\r\n`, { bodyLength: UNTIL_CLOSE, keepAlive: false }],
  ['6.3', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n', { bodyLength: 5, keepAlive: true }],
  ['6.3', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', BAD],
  ['6.3', `${OK}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`, BAD],
  ['6.3', `${OK}Content-Length: 5, 5\r\n\r\n`, BAD],
  ['6.3', `${OK}Content-Length: five\r\n\r\n`, BAD],
  ['6.3', `${OK}Content-Length:\r\n\r\n`, BAD],
  ['6.3', `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`, BAD],
  ['6.3', `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`, BAD],
  ['6.3', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`, BAD],
  ['6.3', `${OK}Transfer-Encoding: identity\r\n\r\n`, BAD],
  ['6.3', `${OK}Transfer_Encoding: chunked\r\nContent_Length: 5\r\n\r\n`, { bodyLength: UNTIL_CLOSE }],
  ['6.3', `${OK}Content-Length: 5\r\n\r\n`, { bodyLength: 0, contentLength: 5, keepAlive: true }, 'HEAD'],
  ['6.3', `${OK}Transfer-Encoding: chunked\r\n\r\n`, { bodyLength: 0, keepAlive: true }, 'HEAD'],
  ['6.3', `${OK}\r\n`, { bodyLength: 0, keepAlive: true }, 'HEAD'],
  ['6.3', `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`, BAD, 'HEAD'],
  ['6.3', 'HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n', { bodyLength: 0, contentLength: 5, keepAlive: true }],
  ['6.3', 'HTTP/1.1 204 None\r\n\r\n', { bodyLength: 0, keepAlive: true }],
  ['6.3', 'HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n', { bodyLength: 0 }],
  ['6.2', 'HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\n', BAD],
  ['6.1', 'HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n', BAD],
  ['6.1', 'HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n', BAD],
  ['6.2', 'HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\n', BAD],
  ['9110 15.2', 'HTTP/1.1 100 Continue\r\n\r\n', { status: 100, bodyLength: 0 }],
  [
    '9110 15.2.2',
    'HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n',
    { status: 101, upgrade: 'websocket' },
  ],
  // --- RFC 9112 9.3: persistence
  ['9.3', `${OK}Content-Length: 0\r\nConnection: Close\r\n\r\n`, { keepAlive: false }],
  ['9.3', `${OK}Content-Length: 0\r\nConnection: x\r\nConnection: y, close\r\n\r\n`, { keepAlive: false }],
  ['9.3', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', { keepAlive: false }],
]

test('the response table: every case with its section, whole and byte by byte', () => {
  let ran = 0
  for (const [section, text, expected, method] of CASES) {
    const bytes = Buffer.from(text, 'latin1')
    const head = new ResponseHead()
    const noBody = method === 'HEAD'
    const result = parseResponseHead(bytes, 0, bytes.length, head, noBody)
    const label = `RFC ${section.includes(' ') ? section : `9112 ${section}`}: ${JSON.stringify(text.slice(0, 100))}`
    if (typeof expected === 'number') assert.equal(result, expected, label)
    else {
      assert.equal(result, text.length, label)
      for (const [key, value] of Object.entries(expected))
        assert.equal(head[key as keyof ResponseHead], value, `${label}: ${key}`)
    }
    if (bytes.length < 1000) {
      let piecewise = INCOMPLETE
      for (let end = 1; end <= bytes.length && piecewise === INCOMPLETE; end++) {
        piecewise = parseResponseHead(bytes, 0, end, new ResponseHead(), noBody)
      }
      assert.equal(piecewise, result, `byte by byte, ${label}`)
    }
    ran++
  }
  assert.equal(ran, 78, 'response cases')
})

test('fields that the endpoint names in Connection are dropped, framing is not', () => {
  const bytes = Buffer.from(`${OK}Connection: X-Hop, content-length\r\nX-Hop: 1\r\nContent-Length: 5\r\nA: b\r\n\r\n`)
  const head = new ResponseHead()
  parseResponseHead(bytes, 0, bytes.length, head, false)
  assert.equal(head.bodyLength, 5)
  assert.equal(head.fields.get('x-hop'), null)
  assert.equal(head.fields.get('a'), 'b')
})

test('a head that is used again remembers nothing of the response before', () => {
  const head = new ResponseHead()
  for (const text of [
    'HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n',
    `${OK}Content-Length: 7\r\nConnection: close\r\n\r\n`,
    'HTTP/1.0 404 N\r\n\r\n',
  ]) {
    const bytes = Buffer.from(text)
    parseResponseHead(bytes, 0, bytes.length, head, false)
    const plain = Buffer.from(`${OK}Transfer-Encoding: chunked\r\n\r\n`)
    parseResponseHead(plain, 0, plain.length, head, false)
    assert.deepEqual(
      [head.status, head.reason, head.minor, head.bodyLength, head.contentLength, head.keepAlive, head.upgrade],
      [200, 'OK', 1, CHUNKED, -1, true, null],
    )
  }
})
