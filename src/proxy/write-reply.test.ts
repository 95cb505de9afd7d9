import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REASON_CODES, REASONS } from '../base/errors.ts'
import { ConnectionInfo } from '../core/connection-info.ts'
import { Exchange } from '../core/exchange.ts'
import type { Policy } from '../core/policy.ts'
import { LocalReply } from '../core/reply.ts'
import type { Route } from '../core/route.ts'
import type { ClientStream } from '../http/client-stream.ts'
import { RequestHead } from '../http/message.ts'
import { writeReply } from './write-reply.ts'

interface Sent {
  status: number
  reason: string
  fields: string
  length: number
  bodyless: boolean
  body: string
  bytesOut: number
}

function write(reply: LocalReply, method = 'GET', policies: readonly Policy[] | null = null): Sent {
  const head = new RequestHead()
  head.method = method
  const sent: Sent = { status: 0, reason: '', fields: '', length: -9, bodyless: false, body: '', bytesOut: 0 }
  const stream = {
    head,
    sendHead: (status: number, reason: string, fields: string, length: number, bodyless: boolean) =>
      Object.assign(sent, { status, reason, fields, length, bodyless }),
    sendBody: (buf: Buffer, start: number, end: number) => {
      sent.body += buf.toString('utf8', start, end)
    },
  } as unknown as ClientStream
  const connection = new ConnectionInfo('t', '192.0.2.1', 1, 'http', null, null, null)
  const exchange = new Exchange(connection, stream, null as never, null as never)
  exchange.id = 'the-id'
  if (policies !== null) exchange.route = { chain: { responseHeaders: policies } } as unknown as Route
  writeReply(exchange, reply, 'Date: now\r\n')
  sent.bytesOut = exchange.bytesOut
  return sent
}

test('every reason with a status becomes a problem document of exactly its length (RFC 9457)', () => {
  let ran = 0
  for (const code of REASON_CODES) {
    const { status, title } = REASONS[code]
    if (status === 0) continue
    const sent = write(new LocalReply(code))
    assert.deepEqual(JSON.parse(sent.body), { status, title, code, id: 'the-id' })
    assert.equal(sent.status, status)
    assert.equal(sent.length, Buffer.byteLength(sent.body))
    assert.equal(sent.bytesOut, sent.length)
    assert.match(
      sent.fields,
      /^Content-Type: application\/problem\+json\r\nCache-Control: no-store\r\nDate: now\r\nX-Request-Id: the-id\r\n$/,
    )
    assert.notEqual(sent.reason, '')
    ran++
  }
  assert.ok(ran > 35)
})

test('an answer to HEAD tells the length and sends no body', () => {
  const get = write(new LocalReply('route-not-found'))
  const head = write(new LocalReply('route-not-found'), 'HEAD')
  assert.deepEqual([head.bodyless, head.body, head.length, head.bytesOut], [true, '', get.length, 0])
})

test('a body of its own is sent as it is, its length in bytes', () => {
  const sent = write(new LocalReply('fixed-response', 'Content-Type: text/plain\r\n', 200, 'größer'))
  assert.deepEqual([sent.body, sent.length], ['größer', 8])
  assert.equal(sent.fields, 'Content-Type: text/plain\r\nDate: now\r\nX-Request-Id: the-id\r\n')
})

test('204 and 304 have neither body nor length', () => {
  for (const status of [204, 304]) {
    for (const body of [null, '']) {
      const sent = write(new LocalReply('fixed-response', '', status, body))
      assert.deepEqual([sent.status, sent.length, sent.bodyless, sent.body], [status, -1, true, ''])
      assert.doesNotMatch(sent.fields, /Content-Type/)
    }
  }
})

test('an empty body has length 0, further fields are kept', () => {
  const sent = write(new LocalReply('redirect', 'Location: https://a.test/x: y\r\n', 308, ''))
  assert.deepEqual([sent.length, sent.bodyless], [0, false])
  assert.match(sent.fields, /^Location: https:\/\/a\.test\/x: y\r\n/)
})

test('response hooks see and change the fields of an answer that the edge makes', () => {
  const seen: unknown[] = []
  const policy: Policy = {
    name: 'headers',
    onResponseHeaders: (_, response) => {
      seen.push(response.status, response.fields.get('allow'))
      response.fields.set('Cache-Control', 'private')
      response.fields.remove('date')
      response.fields.add('X-Added', '1')
    },
  }
  const sent = write(new LocalReply('method-not-allowed', 'Allow: GET, HEAD\r\n'), 'GET', [policy])
  assert.deepEqual(seen, [405, 'GET, HEAD'])
  assert.equal(
    sent.fields,
    'Allow: GET, HEAD\r\nContent-Type: application/problem+json\r\nX-Request-Id: the-id\r\nCache-Control: private\r\nX-Added: 1\r\n',
  )
})
