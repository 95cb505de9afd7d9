import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProxyHeader } from './header.ts'
import { readProxyHeader } from './read.ts'
import { TLV } from './read-v2.ts'
import { type ProxyAddresses, writeProxyV1, writeProxyV2 } from './write.ts'

const ends = (sourceIp: string, destinationIp: string): ProxyAddresses => ({
  sourceIp,
  sourcePort: 56324,
  destinationIp,
  destinationPort: 443,
})
const read = (bytes: Buffer) => {
  const header = readProxyHeader(bytes, 0, bytes.length)
  assert.ok(header instanceof ProxyHeader)
  assert.equal(header.length, bytes.length)
  return header
}

test('a version 1 line is written as the protocol text shows it', () => {
  assert.equal(
    writeProxyV1(ends('192.168.0.1', '192.168.0.11')).toString(),
    'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n',
  )
  assert.equal(writeProxyV1(ends('2001:db8::1', '::1')).toString(), 'PROXY TCP6 2001:db8::1 ::1 56324 443\r\n')
  assert.equal(writeProxyV1(ends('10.0.0.1', '::1')).toString(), 'PROXY TCP6 ::ffff:10.0.0.1 ::1 56324 443\r\n')
  assert.equal(writeProxyV1(ends('unix', 'unix')).toString(), 'PROXY UNKNOWN\r\n')
  assert.equal(writeProxyV1(null).toString(), 'PROXY UNKNOWN\r\n')
})

test('an address that holds a line break cannot inject a second line', () => {
  const evil = ends('1.1.1.1 2.2.2.2 1 2\r\nGET / HTTP/1.1', '10.0.0.1')
  assert.equal(writeProxyV1(evil).toString(), 'PROXY UNKNOWN\r\n')
  assert.equal(read(writeProxyV2(evil)).local, true)
})

test('what is written is read back, in both versions', () => {
  let ran = 0
  for (const [source, destination] of [
    ['10.0.0.1', '192.0.2.200'],
    ['2001:db8::1', '::1'],
    ['10.0.0.1', '::1'],
    ['::1', '10.0.0.1'],
  ] as const) {
    for (const write of [writeProxyV1, writeProxyV2]) {
      const header = read(write(ends(source, destination)))
      assert.deepEqual(
        [header.local, header.sourceIp, header.sourcePort, header.destinationIp, header.destinationPort],
        [false, source, 56324, destination, 443],
      )
      ran++
    }
  }
  assert.equal(ran, 8)
})

test('LOCAL, UNSPEC and UNIX are told apart in version 2', () => {
  assert.equal(writeProxyV2(null).subarray(12).toString('hex'), '20000000')
  assert.equal(writeProxyV2(ends('unix', '10.0.0.1')).subarray(12).toString('hex'), '21000000')
  assert.equal(read(writeProxyV2(ends('unix', 'unix'))).sourceIp, 'unix')
})

test('authority, ALPN, TLS and own values are written, with a checksum that holds', () => {
  const bytes = writeProxyV2(ends('10.0.0.1', '10.0.0.2'), {
    authority: 'api.example.com',
    alpn: 'http/1.1',
    ssl: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', commonName: 'partner-1' },
    tlvs: [{ type: 0xe0, value: Buffer.from('own') }],
    checksum: true,
  })
  const tlvs = new Map(read(bytes).tlvs!.map(({ type, value }) => [type, value]))
  assert.deepEqual([...tlvs.keys()], [TLV.alpn, TLV.authority, TLV.ssl, 0xe0, TLV.crc32c])
  assert.equal(tlvs.get(TLV.authority)!.toString(), 'api.example.com')
  const ssl = tlvs.get(TLV.ssl)!
  assert.equal(ssl.subarray(0, 5).toString('hex'), '0700000000')
  assert.equal(ssl.subarray(5, 15).toString('latin1'), '\x21\x00\x07TLSv1.3')
})

test('a client without a certificate is not written as a verified one', () => {
  const bytes = writeProxyV2(ends('10.0.0.1', '10.0.0.2'), {
    ssl: { version: 'TLSv1.2', cipher: null, commonName: null },
  })
  assert.equal(read(bytes).tlvs![0]!.value.subarray(0, 5).toString('hex'), '0100000001')
})

test('values beyond 4,096 bytes are refused before anything is sent', () => {
  assert.throws(() => writeProxyV2(ends('10.0.0.1', '10.0.0.2'), { authority: 'x'.repeat(5000) }), RangeError)
})
