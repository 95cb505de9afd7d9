import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProxyHeader } from './header.ts'
import { readProxyHeader } from './read.ts'

const read = (text: string) => {
  const bytes = Buffer.from(text, 'latin1')
  return readProxyHeader(bytes, 0, bytes.length)
}

test('a TCP4 line gives both ends and its length', () => {
  const header = read('PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n')
  assert.deepEqual(header, new ProxyHeader(47, false, '192.168.0.1', 56324, '192.168.0.11', 443, null))
})

test('a TCP6 line of the maximal length is read and its addresses are made canonical', () => {
  const address = 'FFFF:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
  const line = `PROXY TCP6 ${address} 2001:0db8:0:0:0:0:0:1 65535 0\r\n`
  const header = read(line)
  assert.deepEqual(header, new ProxyHeader(line.length, false, address.toLowerCase(), 65535, '2001:db8::1', 0, null))
})

test('a mapped IPv6 source is given as IPv4', () => {
  const header = read('PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n')
  assert.ok(header instanceof ProxyHeader)
  assert.equal(header.sourceIp, '10.0.0.1')
})

test('UNKNOWN keeps the real peer, whatever stands before the end of the line', () => {
  const lines = ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN \r\n', 'PROXY UNKNOWN ff::1 anything at all 99999\r\n']
  lines.push(`PROXY UNKNOWN ${'x'.repeat(107 - 16)}\r\n`)
  for (const line of lines) {
    const header = read(`${line}rest`)
    assert.ok(header instanceof ProxyHeader, line)
    assert.equal(header.local, true)
    assert.equal(header.length, line.length)
    assert.equal(header.sourceIp, '')
  }
})

test('a malformed line is refused', () => {
  const bad = [
    'proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY UNKNOWNX\r\n',
    'PROXY unknown\r\n',
    'PROXY \r\n',
    'PROXY\r\n',
    'PROXY TCP4\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n',
    'PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY\tTCP4 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX',
    'PROXY UNKNOWN\nGET / HTTP/1.1\r\n',
    'PROXY UNKNOWN \0\r\n',
    'PROXY UNKNOWN \xff\r\n',
    'PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP4 256.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1 00\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 1e1 2\r\n',
    'PROXY TCP4 1.1.1.1 2.2.2.2 123456 2\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    'PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n',
    'PROXY TCP6 ::1 1.1.1.1 1 2\r\n',
    'PROXY TCP6 ::1%lo ::1 1 2\r\n',
    'PROXY TCP6 :::1 ::1 1 2\r\n',
    `PROXY UNKNOWN ${'x'.repeat(108 - 16)}\r\n`,
    `PROXY UNKNOWN ${'x'.repeat(200)}`,
    'GET / HTTP/1.1\r\n',
    'POST / HTTP/1.1\r\n',
    '\x16\x03\x01\x02\x00',
  ]
  let ran = 0
  for (const line of bad) {
    const expected = line === 'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r' ? null : 'proxy-protocol-invalid'
    assert.equal(read(line), expected, JSON.stringify(line))
    ran++
  }
  assert.equal(ran, 42, 'malformed lines')
})

test('more bytes are asked for while the line may still become valid', () => {
  const line = 'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n'
  for (let cut = 0; cut < line.length; cut++) assert.equal(read(line.slice(0, cut)), null, String(cut))
})
