import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CidrSet } from '../base/cidr.ts'
import { ConnectionInfo } from '../core/connection-info.ts'
import { Exchange } from '../core/exchange.ts'
import type { ClientStream } from '../http/client-stream.ts'
import { parseRequestHead } from '../http/h1/parse-request.ts'
import { RequestHead } from '../http/message.ts'
import { identify } from './identity.ts'

const LIMITS = { headBytes: 65_536, headers: 100, urlBytes: 1000, bodyBytes: 0 }
const TRUSTED = ['10.0.0.0/8', '2001:db8:1::/48', 'fd00::/8']

/** An exchange of a peer; the proxies 10.0.0.0/8, 2001:db8:1::/48 and fd00::/8 are trusted. */
function exchange(peer: string, fields: string, host = 'a.test', scheme: 'http' | 'https' = 'http'): Exchange {
  const head = new RequestHead()
  const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`, 'latin1')
  assert.equal(parseRequestHead(bytes, 0, bytes.length, head, LIMITS), bytes.length, fields)
  const connection = new ConnectionInfo('t', peer, 1, scheme, null, null, new CidrSet(TRUSTED))
  const made = new Exchange(connection, { head } as ClientStream, null as never, null as never)
  made.id = 'own-id'
  identify(made)
  return made
}

function line(made: Exchange, name: string): string | null {
  const found = made.forwardedFields
    .split('\r\n')
    .filter((text) => text.toLowerCase().startsWith(`${name.toLowerCase()}: `))
  assert.ok(found.length <= 1, `${name} once`)
  return found[0]?.slice(name.length + 2) ?? null
}

const XFF = (value: string): string => `X-Forwarded-For: ${value}\r\n`
const FORWARDED = (value: string): string => `Forwarded: ${value}\r\n`

type Case = readonly [peer: string, fields: string, client: string, chain: string]

const CASES: readonly Case[] = [
  // --- a stranger is believed nothing
  ['192.0.2.1', '', '192.0.2.1', '192.0.2.1'],
  ['192.0.2.1', XFF('1.1.1.1'), '192.0.2.1', '192.0.2.1'],
  ['192.0.2.1', XFF('10.0.0.1'), '192.0.2.1', '192.0.2.1'],
  ['192.0.2.1', FORWARDED('for=1.1.1.1'), '192.0.2.1', '192.0.2.1'],
  ['192.0.2.1', 'X-Real-IP: 1.1.1.1\r\n', '192.0.2.1', '192.0.2.1'],
  ['2001:db8::1', XFF('1.1.1.1'), '2001:db8::1', '2001:db8::1'],
  ['11.0.0.1', XFF('1.1.1.1'), '11.0.0.1', '11.0.0.1'],
  ['unix', XFF('1.1.1.1'), 'unix', 'unknown'],
  // --- a trusted proxy is believed what it added
  ['10.0.0.1', '', '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['2001:db8:1::5', XFF('1.1.1.1'), '1.1.1.1', '1.1.1.1, 2001:db8:1::5'],
  ['10.0.0.1', XFF('2001:db8::7'), '2001:db8::7', '2001:db8::7, 10.0.0.1'],
  // --- what a client put there stands left of it, and is neither believed nor passed on
  ['10.0.0.1', XFF('9.9.9.9, 1.1.1.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', XFF('10.0.0.9, 1.1.1.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', XFF('garbage, 1.1.1.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', `${XFF('9.9.9.9')}${XFF('1.1.1.1')}`, '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', `${XFF('1.1.1.1')}X_Forwarded_For: 9.9.9.9\r\n`, '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', `Connection: X-Forwarded-For\r\n${XFF('1.1.1.1')}`, '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  // --- chains of trusted proxies, from the right
  ['10.0.0.1', XFF('1.1.1.1, 10.0.0.2'), '1.1.1.1', '1.1.1.1, 10.0.0.2, 10.0.0.1'],
  ['10.0.0.1', XFF('9.9.9.9, 1.1.1.1, 10.0.0.3, 10.0.0.2'), '1.1.1.1', '1.1.1.1, 10.0.0.3, 10.0.0.2, 10.0.0.1'],
  ['10.0.0.1', XFF('10.0.0.3, 10.0.0.2'), '10.0.0.3', '10.0.0.3, 10.0.0.2, 10.0.0.1'],
  ['10.0.0.1', `${XFF('1.1.1.1, 10.0.0.3')}${XFF('10.0.0.2')}`, '1.1.1.1', '1.1.1.1, 10.0.0.3, 10.0.0.2, 10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.1, fd00::1, 10.0.0.2'), '1.1.1.1', '1.1.1.1, fd00::1, 10.0.0.2, 10.0.0.1'],
  // --- spaces, empty entries, ports
  ['10.0.0.1', XFF('1.1.1.1,10.0.0.2'), '1.1.1.1', '1.1.1.1, 10.0.0.2, 10.0.0.1'],
  ['10.0.0.1', XFF('  1.1.1.1\t,\t10.0.0.2'), '1.1.1.1', '1.1.1.1, 10.0.0.2, 10.0.0.1'],
  ['10.0.0.1', XFF(''), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF(','), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.1,'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.1:4711'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', XFF('[2001:db8::7]:4711'), '2001:db8::7', '2001:db8::7, 10.0.0.1'],
  ['10.0.0.1', XFF('[2001:db8::7]'), '2001:db8::7', '2001:db8::7, 10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.1:'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.1:123456'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('[1.1.1.1]:80'), '10.0.0.1', '10.0.0.1'],
  // --- one address, one spelling: limits and rules compare text
  ['10.0.0.1', XFF('2001:DB8::7'), '2001:db8::7', '2001:db8::7, 10.0.0.1'],
  ['10.0.0.1', XFF('2001:0db8:0:0:0:0:0:0007'), '2001:db8::7', '2001:db8::7, 10.0.0.1'],
  ['10.0.0.1', XFF('[2001:db8:0::0:7]:1'), '2001:db8::7', '2001:db8::7, 10.0.0.1'],
  ['10.0.0.1', XFF('::ffff:1.1.1.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', XFF('::FFFF:1.1.1.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', XFF('::ffff:101:101'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', XFF('0:0:0:0:0:ffff:1.1.1.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', XFF('9.9.9.9, ::ffff:10.0.0.2'), '9.9.9.9', '9.9.9.9, 10.0.0.2, 10.0.0.1'],
  ['10.0.0.1', XFF('9.9.9.9, ::ffff:a00:2'), '9.9.9.9', '9.9.9.9, 10.0.0.2, 10.0.0.1'],
  // --- what is no address ends the chain: the client is who sent it
  ['10.0.0.1', XFF('unknown'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.1, unknown'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.1, unknown, 10.0.0.2'), '10.0.0.2', '10.0.0.2, 10.0.0.1'],
  ['10.0.0.1', XFF('localhost'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.256'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('01.1.1.1'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('16843009'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.1 1.1.1.2'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('"1.1.1.1"'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('fe80::1%eth0'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('[fe80::1%eth0]'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('1.1.1.1; x'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('::1::1'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', XFF('<script>'), '10.0.0.1', '10.0.0.1'],
  // --- Forwarded (RFC 7239), where there is no X-Forwarded-For
  ['10.0.0.1', FORWARDED('for=1.1.1.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', FORWARDED('For=1.1.1.1;proto=https;by=10.0.0.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', FORWARDED('by=10.0.0.1; for="1.1.1.1:80" ;host=x'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', FORWARDED('for="[2001:db8::7]:1"'), '2001:db8::7', '2001:db8::7, 10.0.0.1'],
  ['10.0.0.1', FORWARDED('for=9.9.9.9, for=1.1.1.1, for=10.0.0.2'), '1.1.1.1', '1.1.1.1, 10.0.0.2, 10.0.0.1'],
  ['10.0.0.1', `${FORWARDED('for=9.9.9.9')}${FORWARDED('for=1.1.1.1')}`, '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', FORWARDED('for=unknown'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', FORWARDED('for=_hidden'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', FORWARDED('for=1.1.1.1, proto=https'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', FORWARDED('xfor=1.1.1.1'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', FORWARDED('for="1.1.1.1'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', FORWARDED('for="1.1.1.\\1"'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', FORWARDED('for='), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', FORWARDED('for=2001:db8::7'), '2001:db8::7', '2001:db8::7, 10.0.0.1'],
  // A Host that the client chose, quoted by the proxy, must not become a parameter.
  ['10.0.0.1', FORWARDED('host="x;for=9.9.9.9;y";for=1.1.1.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', FORWARDED('host="x;for=9.9.9.9;y"'), '10.0.0.1', '10.0.0.1'],
  ['10.0.0.1', FORWARDED('for="9.9.9.9, for=1.1.1.1'), '1.1.1.1', '1.1.1.1, 10.0.0.1'],
  ['10.0.0.1', FORWARDED('for=1.1.1.1;for=9.9.9.9'), '10.0.0.1', '10.0.0.1'],
  // --- both: X-Forwarded-For counts
  ['10.0.0.1', `${FORWARDED('for=9.9.9.9')}${XFF('1.1.1.1')}`, '1.1.1.1', '1.1.1.1, 10.0.0.1'],
]

test('the client and the chain passed on, for every way to name or forge them', () => {
  let ran = 0
  for (const [peer, fields, client, chain] of CASES) {
    const made = exchange(peer, fields)
    assert.equal(made.client, client, `${peer} ${fields}`)
    assert.equal(line(made, 'X-Forwarded-For'), chain, `${peer} ${fields}`)
    assert.doesNotMatch(made.forwardedFields, /\r(?!\n)|(?<!\r)\n/)
    ran++
  }
  assert.equal(ran, 77, 'identity cases')
})

test('a chain longer than any chain of proxies is cut from the right', () => {
  const made = exchange('10.0.0.1', XFF(Array.from({ length: 500 }, (_, i) => `10.0.1.${i % 250}`).join(',')))
  assert.equal(line(made, 'X-Forwarded-For')?.split(',').length, 32)
})

test('Forwarded is written from the resolved client, IPv6 and ports quoted (RFC 7239 4, 6)', () => {
  assert.equal(line(exchange('192.0.2.1', ''), 'Forwarded'), 'for=192.0.2.1;host=a.test;proto=http')
  assert.equal(
    line(exchange('2001:db8::1', '', 'a.test:8080'), 'Forwarded'),
    'for="[2001:db8::1]";host="a.test:8080";proto=http',
  )
  assert.equal(line(exchange('unix', ''), 'Forwarded'), 'for=unknown;host=a.test;proto=http')
  assert.equal(line(exchange('192.0.2.1', '', '[::1]', 'https'), 'Forwarded'), 'for=192.0.2.1;host="[::1]";proto=https')
  assert.equal(
    line(exchange('10.0.0.1', XFF('2001:db8::7, 10.0.0.2')), 'Forwarded'),
    'for="[2001:db8::7]";host=a.test;proto=http, for=10.0.0.2, for=10.0.0.1',
  )
})

test('scheme, host and id are believed from a trusted proxy only, and only if they are sound', () => {
  const cases: readonly (readonly [peer: string, fields: string, name: string, value: string])[] = [
    ['192.0.2.1', 'X-Forwarded-Proto: https\r\n', 'X-Forwarded-Proto', 'http'],
    ['10.0.0.1', 'X-Forwarded-Proto: https\r\n', 'X-Forwarded-Proto', 'https'],
    ['10.0.0.1', 'X-Forwarded-Proto: http, HTTPS\r\n', 'X-Forwarded-Proto', 'https'],
    ['10.0.0.1', 'X-Forwarded-Proto: javascript\r\n', 'X-Forwarded-Proto', 'http'],
    ['10.0.0.1', 'X-Forwarded-Proto:\r\n', 'X-Forwarded-Proto', 'http'],
    ['192.0.2.1', 'X-Forwarded-Host: evil\r\n', 'X-Forwarded-Host', 'a.test'],
    ['10.0.0.1', 'X-Forwarded-Host: b.test:1\r\n', 'X-Forwarded-Host', 'b.test:1'],
    ['10.0.0.1', 'X-Forwarded-Host: evil, b.test\r\n', 'X-Forwarded-Host', 'b.test'],
    ['10.0.0.1', 'X-Forwarded-Host: b/evil\r\n', 'X-Forwarded-Host', 'a.test'],
    ['192.0.2.1', 'X-Request-Id: theirs\r\n', 'X-Request-Id', 'own-id'],
    ['10.0.0.1', 'X-Request-Id: theirs.1:2@a=b+c/d-e_f\r\n', 'X-Request-Id', 'theirs.1:2@a=b+c/d-e_f'],
    ['10.0.0.1', 'X-Request-Id: a"b\r\n', 'X-Request-Id', 'own-id'],
    ['10.0.0.1', `X-Request-Id: ${'a'.repeat(129)}\r\n`, 'X-Request-Id', 'own-id'],
    ['10.0.0.1', 'X-Request-Id: a\r\nX-Request-Id: b\r\n', 'X-Request-Id', 'own-id'],
  ]
  for (const [peer, fields, name, value] of cases)
    assert.equal(line(exchange(peer, fields), name), value, `${peer} ${fields}`)
  assert.equal(cases.length, 14)
})

test('routing goes by Host, whatever X-Forwarded-Host says', () => {
  const made = exchange('10.0.0.1', 'X-Forwarded-Host: b.test\r\n')
  assert.deepEqual([made.host, made.authority], ['a.test', 'a.test'])
})

test('the host is without port, case and final dot', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['A.Test', 'a.test'],
    ['a.test:8080', 'a.test'],
    ['a.test.', 'a.test'],
    ['a.test.:80', 'a.test'],
    ['[::1]', '[::1]'],
    ['[2001:DB8::1]:80', '[2001:db8::1]'],
    ['a', 'a'],
  ]
  for (const [host, expected] of cases) {
    const made = exchange('192.0.2.1', '', host)
    assert.deepEqual([made.host, made.authority], [expected, host])
  }
})

test('fields kept for a connection follow the host that is asked for', () => {
  const head = new RequestHead()
  const connection = new ConnectionInfo('t', '192.0.2.1', 1, 'http', null, null, null)
  const seen: string[] = []
  for (const host of ['a', 'b', 'b', 'a']) {
    head.host = host
    const made = new Exchange(connection, { head } as ClientStream, null as never, null as never)
    made.id = `id-${seen.length}`
    identify(made)
    seen.push(`${line(made, 'X-Forwarded-Host')} ${line(made, 'X-Request-Id')}`)
  }
  assert.deepEqual(seen, ['a id-0', 'b id-1', 'b id-2', 'a id-3'])
})
