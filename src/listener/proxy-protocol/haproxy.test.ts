/** HAProxy, where the PROXY protocol comes from, as the other side. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { after, before, type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { needs } from '../../../test/setup/tools.ts'
import { CidrSet } from '../../base/cidr.ts'
import { TestCa } from '../testing/certificates.ts'
import { freePorts, runHaproxy } from '../testing/haproxy.ts'
import { type Delivered, type OpenListener, openListener, readAll } from '../testing/open-listener.ts'
import { TLV } from './read-v2.ts'
import { writeProxyV1, writeProxyV2 } from './write.ts'

let ca: TestCa
before(() => {
  ca = new TestCa('Test CA')
})
after(() => ca?.remove())

test('the headers that HAProxy sends are read right', needs('haproxy', 'openssl'), async (t) => {
  const open = await openListener(t, { proxyProtocol: new CidrSet(['127.0.0.1']) })
  const variants = [
    'send-proxy',
    'send-proxy-v2',
    'send-proxy-v2 proxy-v2-options crc32c',
    'send-proxy-v2 proxy-v2-options crc32c,unique-id',
  ]
  const ports = await freePorts(variants.length)
  const sections = variants.map(
    (variant, i) =>
      `frontend f${i}\n  mode tcp\n  bind 127.0.0.1:${ports[i]}\n  bind ::1:${ports[i]}\n` +
      (variant.includes('unique-id') ? '  unique-id-format %[uuid()]\n' : '') +
      `  default_backend b${i}\nbackend b${i}\n  mode tcp\n  server s 127.0.0.1:${open.port} ${variant}\n`,
  )
  await runHaproxy(t, sections.join(''), ports)
  let ran = 0
  for (const [i, variant] of variants.entries()) {
    for (const [host, localAddress] of [
      ['127.0.0.1', '127.0.0.77'],
      ['::1', '::1'],
    ]) {
      const client = createConnection({ port: ports[i]!, host: host!, localAddress: localAddress! })
      t.after(() => client.destroy())
      client.write('hello')
      await once(client, 'connect')
      client.on('error', ignore)
      const { info, firstBytes, socket } = await deliveredFrom(open, client)
      assert.deepEqual([info.peerIp, info.peerPort], [localAddress, client.localPort], variant)
      assert.deepEqual([info.destination?.ip, info.destination?.port], [host, ports[i]], variant)
      const types = info.proxyTlvs?.map((tlv) => tlv.type) ?? []
      assert.equal(types.includes(TLV.crc32c), variant.includes('crc32c'), variant)
      assert.equal(types.includes(TLV.uniqueId), variant.includes('unique-id'), variant)
      if (firstBytes === null) {
        const data = once(socket, 'data')
        socket.resume()
        assert.equal(String((await data)[0]), 'hello')
      } else assert.equal(String(firstBytes), 'hello')
      ran++
    }
  }
  assert.equal(ran, 8, 'headers of HAProxy')
})

test('what HAProxy tells of a TLS client is read right', needs('haproxy', 'openssl'), async (t) => {
  const open = await openListener(t, { proxyProtocol: new CidrSet(['127.0.0.1']) })
  const edge = ca.issue('/CN=edge', 'DNS:edge.test')
  const partner = ca.issue('/CN=partner-1', '')
  const [port] = (await freePorts(1)) as [number]
  const sections =
    `frontend f\n  mode tcp\n  bind 127.0.0.1:${port} ssl crt edge.pem ca-file ca.pem verify optional\n` +
    `  default_backend b\nbackend b\n  mode tcp\n` +
    `  server s 127.0.0.1:${open.port} send-proxy-v2-ssl-cn proxy-v2-options crc32c,authority,ssl,cert-cn\n`
  const files = { 'edge.pem': `${edge.certificate}${edge.key}`, 'ca.pem': ca.certificate }
  await runHaproxy(t, sections, [port], files)
  const client = connectTls({
    port,
    host: '127.0.0.1',
    servername: 'edge.test',
    ca: ca.certificate,
    cert: partner.certificate,
    key: partner.key,
  })
  t.after(() => client.destroy())
  await once(client, 'secureConnect')
  client.on('error', ignore)
  client.write('hello')
  const { info } = await deliveredFrom(open, client)
  const tlvs = new Map(info.proxyTlvs!.map(({ type, value }) => [type, value]))
  assert.equal(tlvs.get(TLV.authority)?.toString(), 'edge.test')
  const ssl = tlvs.get(TLV.ssl)!
  assert.equal(ssl[0]! & 0x03, 0x03, 'over TLS, with a certificate on this connection')
  assert.equal(ssl.readUInt32BE(1), 0, 'verified')
  assert.ok(ssl.includes('TLSv1.3'))
  assert.ok(ssl.includes('partner-1'))
  assert.ok(tlvs.has(TLV.crc32c))
})

test('HAProxy reads the headers that are written here', needs('haproxy', 'openssl'), async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const format = '%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority]'
  await runHaproxy(
    t,
    `frontend f\n  mode http\n  bind 127.0.0.1:${port} accept-proxy\n` +
      `  http-request return status 200 content-type text/plain lf-string "${format}"\n`,
    [port],
  )
  const ends4 = { sourceIp: '192.0.2.7', sourcePort: 4711, destinationIp: '198.51.100.1', destinationPort: 443 }
  const ends6 = { ...ends4, sourceIp: '2001:db8::7', destinationIp: '2001:db8::1' }
  const cases: readonly (readonly [Buffer, string])[] = [
    [writeProxyV1(ends4), '192.0.2.7 4711 198.51.100.1 443 '],
    [writeProxyV1(ends6), '2001:db8::7 4711 2001:db8::1 443 '],
    [writeProxyV2(ends4), '192.0.2.7 4711 198.51.100.1 443 '],
    [writeProxyV2(ends6, { checksum: true }), '2001:db8::7 4711 2001:db8::1 443 '],
    [
      writeProxyV2(ends4, {
        authority: 'a.test',
        alpn: 'http/1.1',
        ssl: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', commonName: 'partner-1' },
        checksum: true,
      }),
      '192.0.2.7 4711 198.51.100.1 443 a.test',
    ],
  ]
  let ran = 0
  for (const [header, expected] of cases) {
    assert.equal(await ask(t, port, header), expected)
    ran++
  }
  // LOCAL and UNKNOWN: the addresses of the real connection hold.
  for (const header of [writeProxyV1(null), writeProxyV2(null)]) {
    assert.match(await ask(t, port, header), /^127\.0\.0\.1 \d+ 127\.0\.0\.1 \d+ $/)
    ran++
  }
  assert.equal(ran, 7, 'headers for HAProxy')
})

async function ask(t: TestContext, port: number, header: Buffer): Promise<string> {
  const client = createConnection({ port, host: '127.0.0.1' })
  t.after(() => client.destroy())
  client.write(Buffer.concat([header, Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')]))
  const response = await readAll(client)
  return response.slice(response.indexOf('\r\n\r\n') + 4)
}

/** The delivered connection that came from a client's port; the probes that waited for HAProxy to start come before. */
async function deliveredFrom(open: OpenListener, client: Socket): Promise<Delivered> {
  for (;;) {
    const delivered = await open.next()
    if (delivered.info.peerPort === client.localPort) return delivered
    delivered.socket.destroy()
  }
}

/** HAProxy is ended before its clients are. */
function ignore(): void {}
