import assert from 'node:assert/strict'
import { test } from 'node:test'
import { F, HASH_START, HOP, hashEnd, hashStep, IDENTITY, knownField, knownFieldByName, LENGTH } from './field-names.ts'

test('known fields are found by name, without case, and have their flags', () => {
  const cases: readonly (readonly [string, number, number])[] = [
    ['host', F.host, HOP],
    ['Host', F.host, HOP],
    ['CONNECTION', F.connection, HOP],
    ['Content-Length', F.contentLength, LENGTH],
    ['Transfer-Encoding', F.transferEncoding, HOP],
    ['te', F.te, HOP],
    ['Keep-Alive', F.keepAlive, HOP],
    ['Proxy-Connection', F.proxyConnection, HOP],
    ['Upgrade', F.upgrade, HOP],
    ['HTTP2-Settings', F.http2Settings, HOP],
    ['Trailer', F.trailer, 0],
    ['Expect', F.expect, 0],
    ['Forwarded', F.forwarded, HOP | IDENTITY],
    ['X-Forwarded-For', F.xForwardedFor, HOP | IDENTITY],
    ['X-Forwarded-Proto', F.xForwardedProto, HOP | IDENTITY],
    ['X-Forwarded-Host', F.xForwardedHost, HOP | IDENTITY],
    ['X-Request-Id', F.xRequestId, HOP | IDENTITY],
    ['Traceparent', F.traceparent, 0],
    ['Date', F.date, 0],
    ['Content-Type', F.contentType, 0],
    ['X-Real-IP', F.identity, IDENTITY],
    ['CF-Connecting-IP', F.identity, IDENTITY],
    ['True-Client-IP', F.identity, IDENTITY],
    ['X-Original-URL', F.identity, IDENTITY],
    ['X-HTTP-Method-Override', F.identity, IDENTITY],
    ['X-Forwarded-Port', F.identity, IDENTITY],
  ]
  for (const [name, id, flags] of cases) {
    const known = knownFieldByName(name)
    assert.deepEqual([known?.id, known?.flags], [id, flags], name)
  }
  assert.equal(cases.length, 26)
})

test('an underscore counts as a hyphen, so that shadows of known fields are recognised', () => {
  for (const name of ['X_Forwarded_For', 'x_forwarded-for', 'CONTENT_LENGTH', 'transfer_encoding', 'X_Real_IP']) {
    assert.notEqual(knownFieldByName(name), null, name)
  }
})

test('other names are not taken for known ones', () => {
  const names = [
    '',
    'x',
    'hos',
    'hostx',
    'x-forwarded-fo',
    'x-forwarded-forr',
    'content-lengt\x68\x00',
    'xforwardedfor',
    'content length',
  ]
  for (const name of names) assert.equal(knownFieldByName(name), null, name)
  // No token character but a letter changes under the folding of case.
  for (let c = 0x21; c < 0x7f; c++) {
    const name = `host${String.fromCharCode(c)}`
    assert.equal(knownFieldByName(name), null, name)
    const changed = `h${String.fromCharCode(c)}st`
    assert.equal(knownFieldByName(changed) !== null, /^host$/i.test(changed), changed)
  }
})

test('the rolling hash of bytes finds what the whole name finds, also inside a longer buffer', () => {
  const buf = Buffer.from('xxX-Forwarded-For: 1')
  let hash = HASH_START
  for (let i = 2; i < 17; i++) hash = hashStep(hash, buf[i] as number)
  assert.equal(knownField(hashEnd(hash), buf, 2, 17)?.id, F.xForwardedFor)
})
