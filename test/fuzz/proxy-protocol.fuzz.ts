/**
 * Fuzzes the PROXY protocol readers: they never throw, never look past the end, answer the same however the bytes are cut,
 * and agree with a second reader written below in another way.
 *
 * Longer: `FUZZ_ROUNDS=1000000 FUZZ_SEED=7 node --test test/fuzz/proxy-protocol.fuzz.ts`
 */
import assert from 'node:assert/strict'
import { isIPv4, isIPv6 } from 'node:net'
import { test } from 'node:test'
import { crc32c } from '../../src/listener/proxy-protocol/crc32c.ts'
import { ProxyHeader, type ProxyRead } from '../../src/listener/proxy-protocol/header.ts'
import { readProxyHeader } from '../../src/listener/proxy-protocol/read.ts'
import { writeProxyV1, writeProxyV2 } from '../../src/listener/proxy-protocol/write.ts'

const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 6000)
const SEED = Number(process.env.FUZZ_SEED ?? 20_26)

const ends4 = { sourceIp: '10.1.2.3', sourcePort: 40_000, destinationIp: '192.0.2.1', destinationPort: 443 }
const ends6 = { ...ends4, sourceIp: '2001:db8::9', destinationIp: '::1' }
const unix = { ...ends4, sourceIp: 'unix', destinationIp: 'unix' }
const extras = {
  authority: 'api.example.com',
  alpn: 'http/1.1',
  ssl: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', commonName: 'a' },
  tlvs: [{ type: 4, value: Buffer.alloc(5) }],
  checksum: true,
}

const SEEDS: readonly Buffer[] = [
  writeProxyV1(ends4),
  writeProxyV1(ends6),
  writeProxyV1(null),
  Buffer.from('PROXY UNKNOWN ffff::1 ::1 1 2\r\n'),
  Buffer.from('PROXY TCP6 ::ffff:1.2.3.4 1:2:3:4:5:6:7:8 0 65535\r\n'),
  writeProxyV2(ends4),
  writeProxyV2(ends4, extras),
  writeProxyV2(ends6, extras),
  writeProxyV2(unix, { checksum: true }),
  writeProxyV2(null),
]

test('the PROXY readers hold against random and mutated headers', () => {
  const random = createRandom(SEED)
  let headers = 0
  let refused = 0
  let unfinished = 0
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = round % 10 === 0 ? noise(random) : mutate(SEEDS[random(SEEDS.length)]!, random)
    const label = `seed ${SEED} round ${round}: ${bytes.toString('hex')}`
    const whole = readProxyHeader(bytes, 0, bytes.length)
    if (whole === null) unfinished++
    else if (whole instanceof ProxyHeader) headers++
    else refused++
    assert.deepEqual(describe(whole), secondReader(bytes), label)
    assert.deepEqual(describe(readInside(bytes)), describe(whole), `not at index 0, ${label}`)
    assert.deepEqual(describe(readByteByByte(bytes)), describe(whole), `byte by byte, ${label}`)
  }
  assert.equal(headers + refused + unfinished, ROUNDS)
  assert.ok(headers > ROUNDS / 20 && refused > ROUNDS / 5, `${headers} headers, ${refused} refused`)
})

/** The same bytes between others, behind a guard that records any look outside. */
function readInside(bytes: Buffer): ProxyRead {
  const start = 3
  const padded = Buffer.concat([Buffer.from('PRO'), bytes, Buffer.from('\r\nPROXY\r\n\r\n\0')])
  const end = start + bytes.length
  const guarded = new Proxy(padded, {
    get(target, key) {
      const index = typeof key === 'string' && /^\d+$/.test(key) ? Number(key) : -1
      assert.ok(index < 0 || (index >= start && index < end), `looked at ${index}, outside ${start} to ${end}`)
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return readProxyHeader(guarded, start, end)
}

function readByteByByte(bytes: Buffer): ProxyRead {
  for (let end = 0; end < bytes.length; end++) {
    const answer = readProxyHeader(bytes, 0, end)
    if (answer !== null) return answer
  }
  return readProxyHeader(bytes, 0, bytes.length)
}

type Description = string | null | readonly unknown[]

function describe(read: ProxyRead): Description {
  if (read === null || typeof read === 'string') return read
  const { length, local, sourceIp, sourcePort, destinationIp, destinationPort, tlvs } = read
  const values = tlvs?.map(({ type, value }) => `${type}=${value.toString('hex')}`) ?? []
  return [length, local, sourceIp, sourcePort, destinationIp, destinationPort, values]
}

/** A reader written for plainness: regular expressions and whole slices. */
function secondReader(bytes: Buffer): Description {
  const text = bytes.toString('latin1')
  const signature = '\r\n\r\n\0\r\nQUIT\n'
  const isPrefix = (prefix: string) => prefix.startsWith(text.slice(0, prefix.length))
  if (isPrefix('PROXY ')) return text.length < 6 ? null : secondV1(text)
  if (isPrefix(signature)) return text.length < 12 ? null : secondV2(bytes)
  return 'proxy-protocol-invalid'
}

function secondV1(text: string): Description {
  const match = /^([\x20-\x7e]*)\r\n/.exec(text.slice(0, 107))
  if (match === null) {
    return text.length < 107 && /^[\x20-\x7e]*\r?$/.test(text) ? null : 'proxy-protocol-invalid'
  }
  const line = match[1]!
  const length = line.length + 2
  if (/^PROXY UNKNOWN( |$)/.test(line)) return [length, true, '', 0, '', 0, []]
  const fields = /^PROXY TCP([46]) ([^ ]+) ([^ ]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/.exec(line)
  if (fields === null) return 'proxy-protocol-invalid'
  const [, family, source, destination] = fields as unknown as [string, string, string, string]
  const fits = (ip: string) => (family === '4' ? isIPv4(ip) : isIPv6(ip) && !ip.includes('%'))
  const ports = [Number(fields[4]), Number(fields[5])] as const
  if (!fits(source) || !fits(destination) || ports[0] > 65535 || ports[1] > 65535) return 'proxy-protocol-invalid'
  return [length, false, canonical(source), ports[0], canonical(destination), ports[1], []]
}

function secondV2(bytes: Buffer): Description {
  const invalid = 'proxy-protocol-invalid'
  const sizes: Readonly<Record<number, number>> = { 0: 0, 17: 12, 18: 12, 33: 36, 34: 36, 49: 216, 50: 216 }
  if (bytes.length < 13) return null
  const command = bytes.readUInt8(12)
  if (command !== 0x20 && command !== 0x21) return invalid
  if (bytes.length < 14) return null
  const family = bytes.readUInt8(13)
  const size = command === 0x20 ? 0 : sizes[family]
  if (size === undefined) return invalid
  if (bytes.length < 16) return null
  const block = bytes.readUInt16BE(14)
  if (block > 4096 || block < size) return invalid
  const length = 16 + block
  if (bytes.length < length) return null
  if (command === 0x20 || family === 0) return [length, true, '', 0, '', 0, []]
  const values: string[] = []
  let checksums = 0
  for (let rest = bytes.subarray(16 + size, length); rest.length > 0; ) {
    if (rest.length < 3 || rest.length < 3 + rest.readUInt16BE(1)) return invalid
    const value = rest.subarray(3, 3 + rest.readUInt16BE(1))
    if (rest[0] === 3) {
      if (++checksums > 1 || value.length !== 4) return invalid
      const zeroed = Buffer.from(bytes.subarray(0, length))
      zeroed.fill(0, value.byteOffset - bytes.byteOffset, value.byteOffset - bytes.byteOffset + 4)
      if (crc32c(zeroed, 0, length) !== value.readUInt32BE(0)) return invalid
    }
    if (rest[0] !== 4) values.push(`${rest[0]}=${value.toString('hex')}`)
    rest = rest.subarray(3 + value.length)
  }
  const address = bytes.subarray(16, 16 + size)
  if (family === 17) {
    const ips = [[...address.subarray(0, 4)].join('.'), [...address.subarray(4, 8)].join('.')]
    return [length, false, ips[0], address.readUInt16BE(8), ips[1], address.readUInt16BE(10), values]
  }
  if (family === 33) {
    const ip = (at: number) => canonical((address.toString('hex', at, at + 16).match(/.{4}/g) ?? []).join(':'))
    return [length, false, ip(0), address.readUInt16BE(32), ip(16), address.readUInt16BE(34), values]
  }
  if (family === 49) return [length, false, 'unix', 0, 'unix', 0, values]
  return [length, true, '', 0, '', 0, values]
}

/** By way of the URL parser, which prints RFC 5952. */
function canonical(ip: string): string {
  if (!ip.includes(':')) return ip
  const text = new URL(`http://[${ip}]/`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(text)
  if (mapped === null) return text
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)]
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

function noise(random: (below: number) => number): Buffer {
  const starts = ['', 'PROXY ', 'PROXY TCP4 ', '\r\n\r\n\0\r\nQUIT\n', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0']
  const tail = Buffer.alloc(random(120))
  for (let i = 0; i < tail.length; i++) tail[i] = random(256)
  return Buffer.concat([Buffer.from(starts[random(starts.length)]!, 'latin1'), tail])
}

function mutate(seed: Buffer, random: (below: number) => number): Buffer {
  let bytes: Buffer = Buffer.from(seed)
  for (let changes = random(4); changes > 0 && bytes.length > 0; changes--) {
    const at = random(bytes.length)
    switch (random(7)) {
      case 0:
        bytes[at]! ^= 1 << random(8)
        break
      case 1:
        bytes[at] = random(256)
        break
      case 2:
        bytes = bytes.subarray(0, at)
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
        break
      case 4:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from([' 0.:\r\n'.charCodeAt(random(6))]),
          bytes.subarray(at),
        ])
        break
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random(bytes.length))])
        break
      default:
        bytes = Buffer.concat([bytes, SEEDS[random(SEEDS.length)]!])
    }
  }
  return bytes
}

/** A small generator of its own, so that a seed means the same on every machine (xorshift32). */
function createRandom(seed: number): (below: number) => number {
  let state = seed | 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}
