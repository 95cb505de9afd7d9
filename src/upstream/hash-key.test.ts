import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionInfo } from '../core/connection-info.ts'
import { Exchange } from '../core/exchange.ts'
import type { ClientStream } from '../http/client-stream.ts'
import { fieldTableOf } from '../http/field-table.ts'
import { RequestHead } from '../http/message.ts'
import { hashText } from './balancers/hash-text.ts'
import { type HashBy, hashOf } from './hash-key.ts'

function exchange(fields: readonly (readonly [string, string])[], query = ''): Exchange {
  const head = new RequestHead()
  Object.assign(head.fields, fieldTableOf(fields))
  const connection = new ConnectionInfo('t', '192.0.2.1', 1, 'http', null, null, null)
  const made = new Exchange(connection, { head } as ClientStream, null as never, null as never)
  made.client = '192.0.2.7'
  made.query = query
  return made
}

const cookie = (value: string): Exchange => exchange([['Cookie', value]])
const query = (value: string): Exchange => exchange([], value)
const C: HashBy = { kind: 'cookie', name: 'id' }
const Q: HashBy = { kind: 'query', name: 'id' }
const H: HashBy = { kind: 'header', name: 'x-id' }
const CLIENT = '192.0.2.7'

test('the key is the named value, and the client where there is none', () => {
  const cases: readonly (readonly [HashBy, Exchange, string])[] = [
    [{ kind: 'client' }, exchange([['X-Id', 'a']]), CLIENT],
    [H, exchange([['X-ID', 'a']]), 'a'],
    [H, exchange([]), CLIENT],
    [H, exchange([['X-Id', '']]), ''],
    [
      H,
      exchange([
        ['X-Id', 'a'],
        ['x-id', 'b'],
      ]),
      'a, b',
    ],
    [C, cookie('id=a'), 'a'],
    [C, cookie('x=1; id=a; y=2'), 'a'],
    [C, cookie('x=1;id=a;y=2'), 'a'],
    [C, cookie('xid=1; id=a'), 'a'],
    [C, cookie('idx=1; id=a'), 'a'],
    [C, cookie('x=id=b; id=a'), 'a'],
    [C, cookie('id=a; id=b'), 'a'],
    [C, cookie('id='), ''],
    [C, cookie('id'), CLIENT],
    [C, cookie('ID=a'), CLIENT],
    [C, cookie(''), CLIENT],
    [C, cookie(';;;'), CLIENT],
    [C, cookie('   '), CLIENT],
    [C, cookie('  ;id=a'), 'a'],
    [C, exchange([]), CLIENT],
    [Q, query('id=a'), 'a'],
    [Q, query('x=1&id=a&id=b'), 'a'],
    [Q, query('xid=1&id=a'), 'a'],
    [Q, query('id=a%20b'), 'a%20b'],
    [Q, query('id'), CLIENT],
    [Q, query('&&'), CLIENT],
    [Q, query(''), CLIENT],
  ]
  for (const [by, made, key] of cases) assert.equal(hashOf(by, made), hashText(key), JSON.stringify([by, key]))
  assert.equal(cases.length, 27)
})
