import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileRespond } from './respond.ts'

test('a fixed answer has the configured status, body and header fields', () => {
  const reply = compileRespond({ status: 403, body: 'closed', headers: [['X-Why', 'policy']] })
  assert.equal(reply.code, 'fixed-response')
  assert.equal(reply.status, 403)
  assert.equal(reply.body, 'closed')
  assert.equal(reply.headers, 'X-Why: policy\r\nContent-Type: text/plain; charset=utf-8\r\n')
})

test('a content type of its own replaces the default, and an empty body has none', () => {
  const json = compileRespond({ status: 200, body: '{}', headers: [['content-type', 'application/json']] })
  assert.equal(json.headers, 'content-type: application/json\r\n')
  assert.equal(compileRespond({ status: 204, body: '', headers: [] }).headers, '')
})

test('an answer that HTTP cannot carry is an error when it is loaded', () => {
  const bad: readonly (readonly [number, string, string, string])[] = [
    [99, '', 'X', 'y'],
    [101, '', 'X', 'y'],
    [600, '', 'X', 'y'],
    [200.5, '', 'X', 'y'],
    [204, 'body', 'X', 'y'],
    [304, 'body', 'X', 'y'],
    [200, '', 'X Y', 'y'],
    [200, '', '', 'y'],
    [200, '', 'X', 'y\r\nZ: z'],
    [200, '', 'X', 'y\0'],
    [200, '', 'Content-Length', '5'],
    [200, '', 'transfer-encoding', 'chunked'],
    [200, '', 'Connection', 'close'],
  ]
  for (const [status, body, name, value] of bad) {
    assert.throws(() => compileRespond({ status, body, headers: [[name, value]] }), { name: 'RangeError' }, name)
  }
  assert.equal(bad.length, 13, 'bad answers')
})
