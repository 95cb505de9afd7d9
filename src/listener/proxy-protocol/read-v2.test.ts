import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProxyHeader } from './header.ts'
import { readProxyHeader } from './read.ts'
import { V2_SIGNATURE } from './read-v2.ts'
import { writeProxyV2 } from './write.ts'

const TCP4_BLOCK = '0a0000010a0000020400' + '0050'

const build = (command: number, family: number, block: string, length = block.length / 2): Buffer => {
  const head = Buffer.from([command, family, length >> 8, length & 255])
  return Buffer.concat([V2_SIGNATURE, head, Buffer.from(block, 'hex')])
}
const read = (bytes: Buffer) => readProxyHeader(bytes, 0, bytes.length)

test('TCP4 and TCP6 give both ends', () => {
  assert.deepEqual(
    read(build(0x21, 0x11, TCP4_BLOCK)),
    new ProxyHeader(28, false, '10.0.0.1', 1024, '10.0.0.2', 80, null),
  )
  const block = `20010db8${'0'.repeat(23)}1${'0'.repeat(20)}ffff0a000009ffff0000`
  assert.deepEqual(
    read(build(0x21, 0x21, block)),
    new ProxyHeader(52, false, '2001:db8::1', 65535, '10.0.0.9', 0, null),
  )
})

test('LOCAL keeps the real peer and its block is skipped, whatever the family', () => {
  for (const family of [0x00, 0x11, 0x31, 0xff]) {
    const header = read(build(0x20, family, 'deadbeef'))
    assert.ok(header instanceof ProxyHeader)
    assert.equal(header.local, true)
    assert.equal(header.length, 20)
  }
})

test('UNSPEC and datagrams keep the real peer', () => {
  for (const [family, block] of [
    [0x00, ''],
    [0x00, 'ffff'],
    [0x12, TCP4_BLOCK],
    [0x22, '00'.repeat(36)],
    [0x32, '00'.repeat(216)],
  ] as const) {
    const header = read(build(0x21, family, block))
    assert.ok(header instanceof ProxyHeader)
    assert.equal(header.local, true)
    assert.equal(header.length, 16 + block.length / 2)
  }
})

test('a unix stream has no address', () => {
  assert.deepEqual(read(build(0x21, 0x31, '00'.repeat(216))), new ProxyHeader(232, false, 'unix', 0, 'unix', 0, null))
})

test('values are read, padding is left out', () => {
  const header = read(build(0x21, 0x11, `${TCP4_BLOCK}020003616263040002ffffee0000`))
  assert.ok(header instanceof ProxyHeader)
  assert.deepEqual(header.tlvs, [
    { type: 2, value: Buffer.from('abc') },
    { type: 0xee, value: Buffer.alloc(0) },
  ])
})

test('a header with a wrong checksum, two checksums or one of a wrong size is refused', () => {
  const addresses = { sourceIp: '10.0.0.1', sourcePort: 1, destinationIp: '10.0.0.2', destinationPort: 2 }
  const good = writeProxyV2(addresses, { authority: 'a.test', checksum: true })
  assert.ok(read(good) instanceof ProxyHeader)
  let refused = 0
  // Any single changed bit of address, port or value must show.
  for (let at = 16; at < good.length; at++) {
    const bad = Buffer.from(good)
    bad[at]! ^= 0x01
    const answer = read(bad)
    // Turning the checksum's own type byte into another one hides it: then there is no checksum to hold.
    if (at === good.length - 7) assert.ok(answer instanceof ProxyHeader)
    else {
      assert.equal(answer, 'proxy-protocol-invalid', String(at))
      refused++
    }
  }
  assert.equal(refused, good.length - 17)
  assert.equal(read(build(0x21, 0x11, `${TCP4_BLOCK}030000`)), 'proxy-protocol-invalid')
  assert.equal(read(build(0x21, 0x11, `${TCP4_BLOCK}0300050000000000`)), 'proxy-protocol-invalid')
})

test('a malformed header is refused', () => {
  const bad = [
    build(0x11, 0x11, TCP4_BLOCK),
    build(0x31, 0x11, TCP4_BLOCK),
    build(0x22, 0x11, TCP4_BLOCK),
    build(0x2f, 0x11, TCP4_BLOCK),
    build(0x21, 0x01, TCP4_BLOCK),
    build(0x21, 0x10, TCP4_BLOCK),
    build(0x21, 0x13, TCP4_BLOCK),
    build(0x21, 0x41, TCP4_BLOCK),
    build(0x21, 0xf1, TCP4_BLOCK),
    build(0x21, 0x11, TCP4_BLOCK.slice(2)),
    build(0x21, 0x21, '00'.repeat(35)),
    build(0x21, 0x31, '00'.repeat(215)),
    build(0x21, 0x11, '', 4097),
    build(0x20, 0x00, '', 0xffff),
    build(0x21, 0x11, `${TCP4_BLOCK}02`),
    build(0x21, 0x11, `${TCP4_BLOCK}0200`),
    build(0x21, 0x11, `${TCP4_BLOCK}020001`),
    build(0x21, 0x11, `${TCP4_BLOCK}02ffff61`),
    Buffer.concat([Buffer.from('0d0a0d0a000d0a515549540b', 'hex'), Buffer.alloc(4)]),
    Buffer.from('\r\n\r\nGET / HTTP/1.1\r\n\r\n'),
  ]
  let ran = 0
  for (const bytes of bad) {
    assert.equal(read(bytes), 'proxy-protocol-invalid', bytes.toString('hex'))
    ran++
  }
  assert.equal(ran, 20, 'malformed headers')
})

test('the values of a header keep no receive buffer alive', () => {
  const chunk = Buffer.concat([build(0x21, 0x11, `${TCP4_BLOCK}020003616263`), Buffer.alloc(60_000)])
  const header = readProxyHeader(chunk, 0, chunk.length)
  assert.ok(header instanceof ProxyHeader)
  assert.notEqual(header.tlvs![0]!.value.buffer, chunk.buffer)
})
