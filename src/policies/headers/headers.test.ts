import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange } from '../../core/exchange.ts'
import { fieldTableOf } from '../../http/field-table.ts'
import { RequestHead, ResponseHead } from '../../http/message.ts'
import { createHeaders, type HeaderChanges, headerProblem } from './headers.ts'

type Fields = readonly (readonly [string, string])[]

/** The field lines that a request with these fields has after the policy. */
function request(changes: HeaderChanges, fields: Fields): string {
  const head = new RequestHead()
  Object.assign(head.fields, fieldTableOf(fields))
  const policy = createHeaders({ request: changes, response: null })
  assert.equal(policy.onResponseHeaders, undefined)
  assert.equal(policy.onRequestHeaders?.({ request: head } as Exchange), undefined)
  return head.fields.write(255)
}

function response(changes: HeaderChanges, fields: Fields): string {
  const head = new ResponseHead()
  Object.assign(head.fields, fieldTableOf(fields))
  const policy = createHeaders({ request: null, response: changes })
  assert.equal(policy.onRequestHeaders, undefined)
  policy.onResponseHeaders?.({} as Exchange, head)
  return head.fields.write(255)
}

test('a set field replaces every field of its name', () => {
  const changes: HeaderChanges = { set: [['X-Edge', 'sallyport']], remove: [] }
  assert.equal(request(changes, []), 'X-Edge: sallyport\r\n')
  assert.equal(
    request(changes, [
      ['x-edge', 'evil'],
      ['A', '1'],
      ['X-EDGE', 'evil'],
    ]),
    'A: 1\r\nX-Edge: sallyport\r\n',
  )
  assert.equal(
    response(changes, [
      ['X-Edge', 'a'],
      ['B', '2'],
    ]),
    'B: 2\r\nX-Edge: sallyport\r\n',
  )
})

test('a removed field is not passed on, whatever its case', () => {
  const changes: HeaderChanges = { set: [], remove: ['X-Debug', 'Server'] }
  assert.equal(
    request(changes, [
      ['x-DEBUG', '1'],
      ['A', '1'],
    ]),
    'A: 1\r\n',
  )
  assert.equal(
    response(changes, [
      ['SERVER', 'x'],
      ['B', '2'],
      ['server', 'y'],
    ]),
    'B: 2\r\n',
  )
})

test('a client cannot bring back a field by an underscore, which applications read as a hyphen', () => {
  const changes: HeaderChanges = { set: [['X-Edge-Id', '1']], remove: ['X-Debug'] }
  assert.equal(
    request(changes, [
      ['X_Debug', '1'],
      ['X_Edge-Id', 'evil'],
      ['x-edge_id', 'evil'],
    ]),
    'X-Edge-Id: 1\r\n',
  )
})

test('names that only resemble are left alone', () => {
  const changes: HeaderChanges = { set: [], remove: ['X-Debug'] }
  const fields: Fields = [
    ['X-Debugs', '1'],
    ['X-Debu', '2'],
    ['X.Debug', '3'],
    ['XX-Debug', '4'],
  ]
  assert.equal(request(changes, fields), fields.map(([name, value]) => `${name}: ${value}\r\n`).join(''))
})

test('fields that an earlier policy added are replaced and removed too', () => {
  const head = new RequestHead()
  head.fields.add('X-Debug', '1')
  head.fields.add('X-Edge', '1')
  const policy = createHeaders({ request: { set: [['x-edge', '2']], remove: ['x-debug'] }, response: null })
  policy.onRequestHeaders?.({ request: head } as Exchange)
  assert.equal(head.fields.write(255), 'x-edge: 2\r\n')
})

test('both directions can be changed by one policy, and none makes no hook', () => {
  const changes: HeaderChanges = { set: [['A', '1']], remove: [] }
  const both = createHeaders({ request: changes, response: changes })
  assert.notEqual(both.onRequestHeaders, undefined)
  assert.notEqual(both.onResponseHeaders, undefined)
  const none = createHeaders({ request: null, response: { set: [], remove: [] } })
  assert.equal(none.onRequestHeaders ?? none.onResponseHeaders, undefined)
})

test('framing, routing and identity fields cannot be changed', () => {
  const both = [
    'Connection',
    'HOST',
    'Content-Length',
    'content_length',
    'Transfer-Encoding',
    'Trailer',
    'TE',
    'Upgrade',
    'Keep-Alive',
  ]
  const requests = ['Expect', 'X-Forwarded-For', 'X_Forwarded_For', 'Forwarded', 'X-Request-Id', 'X-Forwarded-Proto']
  for (const name of both) {
    assert.match(headerProblem('request', name, null) ?? '', /written by the edge/, name)
    assert.match(headerProblem('response', name, 'x') ?? '', /written by the edge/, name)
    assert.throws(() => createHeaders({ request: { set: [[name, '1']], remove: [] }, response: null }), RangeError)
    assert.throws(() => createHeaders({ request: null, response: { set: [], remove: [name] } }), RangeError)
  }
  for (const name of requests) {
    assert.match(headerProblem('request', name, 'x') ?? '', /written by the edge/, name)
    assert.equal(headerProblem('response', name, 'x'), null, name)
  }
  assert.equal(both.length + requests.length, 15, 'forbidden names')
})

test('names and values that would break the message are errors', () => {
  for (const name of ['', 'a b', 'a:', 'a\r\n', 'é', '(a)'])
    assert.notEqual(headerProblem('request', name, 'x'), null, name)
  for (const value of ['a\r\nb', 'a\nb', '\0', '\x7f', '\u0100']) {
    assert.match(headerProblem('response', 'X-A', value) ?? '', /value of "X-A"/)
  }
  for (const value of ['', 'a b', 'a\tb', '\xe9']) assert.equal(headerProblem('response', 'X-A', value), null)
})
