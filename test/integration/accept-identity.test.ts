/** Who called: nothing that a stranger writes changes it, and what trusted proxies write is read from the right. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { ACCESS_LOG, RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { type EchoEndpoint, echoEndpoint, type SeenRequest } from '../support/endpoints.ts'
import { v1, v2 } from '../support/proxy-headers.ts'
import { connectTo, exchangeBytes, type RawAnswer, readToEnd } from '../support/raw-client.ts'

const STRANGER = '127.0.0.1'
const TRUSTED = '127.0.0.7'
const SENDER = '127.0.0.8'

const ending = endOfFile()
const edge = new RunningEdge(ending)
const apps: EchoEndpoint[] = []

before(async () => {
  for (let i = 0; i < 4; i++) apps.push(await echoEndpoint(ending))
  const urls = apps.map(({ url }) => `'${url}'`).join(', ')
  await edge.start(`
listeners:
  public:
    address: 127.0.0.1:0
    trustedProxies: [${TRUSTED}, 10.0.0.0/8, '2001:db8:ffff::/48']
    proxyProtocol: { from: [${SENDER}] }
  dual: { address: '[::]:0', trustedProxies: [${TRUSTED}, 10.0.0.0/8] }
  open: { address: 127.0.0.1:0 }
upstreams:
  app: { endpoints: [${urls}], balancer: hash, hash: { by: client } }
routes:
  - { path: /inside/*, from: [203.0.113.0/24, '2001:db8::/48'], respond: { status: 200, body: inside } }
  - { path: /inside/*, respond: { status: 403, body: outside } }
  - { path: /*, upstream: app }
${ACCESS_LOG}
`)
})

let asked = 0

interface Answered {
  readonly path: string
  readonly answer: RawAnswer
  /** What the endpoint saw; null when nothing reached it. */
  readonly seen: SeenRequest | null
  /** Index of the endpoint. */
  readonly at: number
}

/** Asks for a path of its own. `fields` are whole lines. */
async function ask(listener: string, fields: string, peer: string, prefix: Buffer | string = ''): Promise<Answered> {
  const path = `/i${++asked}`
  const request = `GET ${path} HTTP/1.1\r\nHost: a.test\r\n${fields}Accept: */*\r\nConnection: close\r\n\r\n`
  const bytes = Buffer.concat([Buffer.from(prefix), Buffer.from(request, 'latin1')])
  const answer = await exchangeBytes(edge.port(listener), bytes, peer)
  const at = apps.findIndex(({ seen }) => seen.some(({ url }) => url === path))
  return { path, answer, at, seen: apps[at]?.seen.find(({ url }) => url === path) ?? null }
}

const inside = async (listener: string, fields: string, peer: string): Promise<string> =>
  (
    await exchangeBytes(
      edge.port(listener),
      `GET /inside/x HTTP/1.1\r\nHost: a.test\r\n${fields}Connection: close\r\n\r\n`,
      peer,
    )
  ).text.slice(-7)

/** Everything but what differs from request to request. */
function essence({ headers }: SeenRequest): Record<string, string> {
  const { 'x-request-id': _, traceparent: __, ...rest } = headers
  return rest
}

const INSIDE = '203.0.113.9'
/** Field lines by which a caller may try to be somebody else. */
const FORGED: readonly string[] = [
  `X-Forwarded-For: ${INSIDE}`,
  `x-forwarded-for: ${INSIDE}`,
  `X-FORWARDED-FOR: ${INSIDE}`,
  `X-Forwarded-For: ${INSIDE}, 10.0.0.1`,
  `X-Forwarded-For: 10.0.0.1, ${INSIDE}`,
  `X-Forwarded-For: ${INSIDE}, ${TRUSTED}`,
  `X-Forwarded-For: 127.0.0.1`,
  `X-Forwarded-For: ::1`,
  `X-Forwarded-For: ::ffff:${INSIDE}`,
  `X-Forwarded-For: 2001:db8::1`,
  `X-Forwarded-For: ${INSIDE}:80`,
  `X-Forwarded-For: "${INSIDE}"`,
  'X-Forwarded-For: ',
  'X-Forwarded-For: unknown',
  'X-Forwarded-For: a\tb',
  `X-Forwarded-For: ${'10.0.0.1, '.repeat(200)}${INSIDE}`,
  `X-Forwarded-For: ${INSIDE}\r\nX-Forwarded-For: 10.0.0.1`,
  `X_Forwarded_For: ${INSIDE}`,
  `X_Forwarded-For: ${INSIDE}`,
  `X-Forwarded_For: ${INSIDE}`,
  `x_forwarded_for: ${INSIDE}`,
  `X-Forwarded-For: ${INSIDE}\r\nX_Forwarded_For: ${INSIDE}`,
  'X-Forwarded-Proto: https',
  'X_Forwarded_Proto: https',
  'X-Forwarded-Scheme: https',
  'X-Forwarded-Ssl: on',
  'Front-End-Https: on',
  'X-Url-Scheme: https',
  'X-Scheme: https',
  'X-Forwarded-Host: admin.test',
  'X_Forwarded_Host: admin.test',
  'X-Host: admin.test',
  'X-Original-Host: admin.test',
  'X-Forwarded-Server: admin.test',
  'X-Forwarded-Port: 443',
  'X-Forwarded-Prefix: /admin',
  'X-Original-URL: /admin',
  'X-Rewrite-URL: /admin',
  'X-Original-URI: /admin',
  'X-HTTP-Method-Override: DELETE',
  `Forwarded: for=${INSIDE}`,
  `Forwarded: for=${INSIDE};proto=https;host=admin.test`,
  `Forwarded: for="[2001:db8::1]:80"`,
  `Forwarded: for=127.0.0.1, for=${INSIDE}`,
  `Forwarded: for=${INSIDE}\r\nForwarded: for=127.0.0.1`,
  'Forwarded: for=_secret;by=_edge',
  'Forwarded: ;;;',
  `Forwarded: for=${INSIDE}\r\nX-Forwarded-For: ${INSIDE}`,
  `X-Real-IP: ${INSIDE}`,
  `X_Real_IP: ${INSIDE}`,
  `X-Client-IP: ${INSIDE}`,
  `Client-IP: ${INSIDE}`,
  `True-Client-IP: ${INSIDE}`,
  `CF-Connecting-IP: ${INSIDE}`,
  `CF_Connecting_IP: ${INSIDE}`,
  `Fastly-Client-IP: ${INSIDE}`,
  `X-Cluster-Client-IP: ${INSIDE}`,
  `X-Originating-IP: ${INSIDE}`,
  `X-Remote-IP: ${INSIDE}`,
  `X-Remote-Addr: ${INSIDE}`,
  `X-Azure-ClientIP: ${INSIDE}`,
  `X-Envoy-External-Address: ${INSIDE}`,
  `X-Forwarded: for=${INSIDE}`,
  `Forwarded-For: ${INSIDE}`,
  'X-Forwarded-Client-Cert: By=a;Hash=b;Subject="CN=admin"',
  'X-Request-Id: chosen-by-a-stranger',
]

/** As above, and malformed: a server that read on would be misled. */
const MALFORMED: readonly string[] = [
  `X-Forwarded-For : ${INSIDE}`,
  ` X-Forwarded-For: ${INSIDE}`,
  `X-Forwarded-For\t: ${INSIDE}`,
  `X-Forwarded-For: 1.2.3.4\r\n ${INSIDE}`,
  `X-Forwarded-For: ${INSIDE}\0`,
  `\x0bX-Forwarded-For: ${INSIDE}`,
]

test('whatever a stranger writes, the log, the endpoint and the routes see the stranger', async () => {
  const paths = new Set<string>()
  let ran = 0
  for (const listener of ['public', 'open', 'dual']) {
    const plain = await ask(listener, '', STRANGER)
    assert.ok(plain.seen !== null)
    assert.equal(plain.seen.headers['x-forwarded-for'], STRANGER)
    assert.equal(plain.seen.headers['x-forwarded-proto'], 'http')
    assert.equal(plain.seen.headers['x-forwarded-host'], 'a.test')
    assert.equal(plain.seen.headers.forwarded, `for=${STRANGER};host=a.test;proto=http`)
    for (const fields of FORGED) {
      const { seen, at, path, answer } = await ask(listener, `${fields}\r\n`, STRANGER)
      assert.ok(seen !== null, `${fields}: ${answer.text}`)
      assert.deepEqual(essence(seen), essence(plain.seen), fields)
      assert.deepEqual(seen.names, plain.seen.names, fields)
      assert.doesNotMatch(seen.headers['x-request-id'] ?? '', /stranger/)
      assert.equal(at, plain.at, `${fields}: hashed by another address`)
      assert.equal(await inside(listener, `${fields}\r\n`, STRANGER), 'outside', fields)
      paths.add(path)
      ran++
    }
    for (const fields of MALFORMED) {
      const { answer, seen } = await ask(listener, `${fields}\r\n`, STRANGER)
      assert.match(answer.text, /^HTTP\/1\.1 400 /, fields)
      assert.equal(seen, null)
      ran++
    }
  }
  assert.equal(FORGED.length, 66)
  assert.equal(ran, 216, 'forged requests')
  const lines = await edge.lines(paths.size, 'forged requests', ({ path }) => paths.has(String(path)))
  assert.equal(lines.length, 198)
  for (const line of lines) {
    assert.deepEqual([line.client, line.scheme, line.host], [STRANGER, 'http', 'a.test'])
    assert.match(String(line.id), /^[0-9a-z]{20}$/)
  }
})

test('a PROXY header of a stranger reaches nothing', async () => {
  let ran = 0
  for (const listener of ['public', 'open', 'dual']) {
    for (const prefix of [v1(), v2(), Buffer.from('PROXY UNKNOWN\r\n')]) {
      for (const peer of [STRANGER, TRUSTED]) {
        const { seen, answer } = await ask(listener, '', peer, prefix)
        assert.equal(seen, null)
        assert.match(answer.text, /^$|^HTTP\/1\.1 400 /)
        ran++
      }
    }
  }
  assert.equal(ran, 18, 'PROXY headers')
})

/** What a trusted proxy says, and who the client then is. */
const CHAINS: readonly (readonly [fields: string, client: string])[] = [
  ['X-Forwarded-For: 203.0.113.5', '203.0.113.5'],
  ['X-Forwarded-For: 6.6.6.6, 203.0.113.5', '203.0.113.5'],
  ['X-Forwarded-For: 203.0.113.5, 10.0.0.2', '203.0.113.5'],
  ['X-Forwarded-For: 6.6.6.6,203.0.113.5 , 10.0.0.2,10.0.0.3', '203.0.113.5'],
  ['X-Forwarded-For: 10.0.0.9, 10.0.0.2', '10.0.0.9'],
  ['X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.5', '203.0.113.5'],
  ['X-Forwarded-For: 203.0.113.5\r\nAccept-Language: de\r\nX-Forwarded-For: 10.0.0.2', '203.0.113.5'],
  ['X-Forwarded-For: nonsense, 10.0.0.2', '10.0.0.2'],
  ['X-Forwarded-For: 6.6.6.6, nonsense, 10.0.0.2', '10.0.0.2'],
  ['X-Forwarded-For: nonsense', TRUSTED],
  ['X-Forwarded-For: ', TRUSTED],
  ['X-Forwarded-For: 203.0.113.05', TRUSTED],
  ['X-Forwarded-For: 0xcb.0.113.5', TRUSTED],
  ['X-Forwarded-For: 203.0.113.5/24', TRUSTED],
  ['X-Forwarded-For: fe80::1%eth0', TRUSTED],
  ['X-Forwarded-For: 203.0.113.5:1234', '203.0.113.5'],
  ['X-Forwarded-For: [2001:db8::5]:1234', '2001:db8::5'],
  ['X-Forwarded-For: 2001:db8::5', '2001:db8::5'],
  ['X-Forwarded-For: 2001:DB8:0:0:0::5', '2001:db8::5'],
  ['X-Forwarded-For: 2001:0db8:0000:0000:0000:0000:0000:0005', '2001:db8::5'],
  ['X-Forwarded-For: 203.0.113.5, 2001:db8:ffff::7', '203.0.113.5'],
  ['X-Forwarded-For: ::ffff:203.0.113.5', '203.0.113.5'],
  ['X-Forwarded-For: ::ffff:cb00:7105', '203.0.113.5'],
  ['X-Forwarded-For: 203.0.113.5, ::ffff:10.0.0.2', '203.0.113.5'],
  ['X-Forwarded-For: 203.0.113.5, ::FFFF:0a00:0002', '203.0.113.5'],
  ['Forwarded: for=203.0.113.5', '203.0.113.5'],
  ['Forwarded: For="203.0.113.5:80"', '203.0.113.5'],
  ['Forwarded: for=6.6.6.6, for=203.0.113.5;proto=https;by=10.0.0.2', '203.0.113.5'],
  ['Forwarded: for="[2001:db8::5]:4711";proto=https, for=10.0.0.2', '2001:db8::5'],
  ['Forwarded: by=6.6.6.6;host=x;for=203.0.113.5', '203.0.113.5'],
  ['Forwarded: for=6.6.6.6\r\nForwarded: for=203.0.113.5', '203.0.113.5'],
  ['Forwarded: for=unknown', TRUSTED],
  ['Forwarded: for=6.6.6.6, for=_hidden, for=10.0.0.2', '10.0.0.2'],
  ['Forwarded: proto=https', TRUSTED],
  [`X-Forwarded-For: ${'203.0.113.5, '.repeat(100)}10.0.0.2`, '203.0.113.5'],
  ['X_Forwarded_For: 203.0.113.5', TRUSTED],
  ['X-Real-IP: 203.0.113.5', TRUSTED],
  ['CF-Connecting-IP: 203.0.113.5', TRUSTED],
  ['', TRUSTED],
]

test('through trusted proxies the right-most address that is not one of them is the client', async () => {
  const wanted = new Map<string, string>()
  let ran = 0
  for (const [fields, client] of CHAINS) {
    const lines = fields === '' ? '' : `${fields}\r\n`
    const { seen, path, answer } = await ask('public', lines, TRUSTED)
    assert.ok(seen !== null, `${fields}: ${answer.text}`)
    const node = client.includes(':') ? `"[${client}]"` : client
    assert.equal(seen.headers['x-forwarded-for']?.split(', ')[0], client, fields)
    assert.equal(seen.headers['x-forwarded-for']?.split(', ').at(-1), TRUSTED, fields)
    assert.ok(
      seen.headers.forwarded?.startsWith(`for=${node};host=a.test;proto=`),
      `${fields}: ${seen.headers.forwarded}`,
    )
    assert.doesNotMatch(JSON.stringify(seen.headers), /6\.6\.6\.6|nonsense|_hidden/, fields)
    const isInside = client.startsWith('203.0.113.') || client.startsWith('2001:db8:')
    assert.equal(await inside('public', lines, TRUSTED), isInside ? '\ninside' : 'outside', fields)
    wanted.set(path, client)
    ran++
  }
  assert.equal(ran, 39, 'chains')
  for (const { path, client } of await edge.lines(39, 'chains', (line) => wanted.has(String(line.path)))) {
    assert.equal(client, wanted.get(String(path)))
  }
})

test('a trusted proxy says what was asked of it, and hash by client follows the client', async () => {
  const { seen } = await ask(
    'public',
    'X-Forwarded-For: 203.0.113.5\r\nX-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: shop.test\r\nX-Request-Id: abc-123\r\n',
    TRUSTED,
  )
  assert.equal(seen?.headers['x-forwarded-proto'], 'https')
  assert.equal(seen?.headers['x-forwarded-host'], 'shop.test')
  assert.equal(seen?.headers['x-request-id'], 'abc-123')
  assert.match(seen?.headers.forwarded ?? '', /^for=203\.0\.113\.5;host=shop\.test;proto=https, for=127\.0\.0\.7$/)
  const line = await edge.line('abc-123', ({ id }) => id === 'abc-123')
  assert.equal(line.scheme, 'https')
  const used = new Set<number>()
  for (let i = 0; i < 24; i++) {
    const fields = `X-Forwarded-For: 203.0.113.${i}\r\n`
    const [first, second] = [await ask('public', fields, TRUSTED), await ask('public', fields, TRUSTED)]
    assert.equal(first.at, second.at, `203.0.113.${i}`)
    used.add(first.at)
  }
  assert.ok(used.size >= 3, `24 clients on ${used.size} of 4 endpoints`)
})

test('a mapped address of a dual-stack listener is the IPv4 address, for trust too', async () => {
  const { seen } = await ask('dual', 'X-Forwarded-For: 203.0.113.5\r\n', TRUSTED)
  assert.equal(seen?.headers['x-forwarded-for'], `203.0.113.5, ${TRUSTED}`)
  const socket = await connectTo(edge.port('dual'), '::1')
  const answer = readToEnd(socket)
  socket.write('GET /six HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 203.0.113.5\r\nConnection: close\r\n\r\n')
  assert.match((await answer).text, /"x-forwarded-for":"::1"/)
})

test('a PROXY header names the peer, and trust in X-Forwarded-For goes by that', async () => {
  const forged = 'X-Forwarded-For: 203.0.113.5\r\n'
  const stranger = await ask('public', forged, SENDER, v1({ sourceIp: '198.51.100.7' }))
  assert.equal(stranger.seen?.headers['x-forwarded-for'], '198.51.100.7')
  const proxy = await ask('public', forged, SENDER, v2({ sourceIp: '10.0.0.4' }))
  assert.equal(proxy.seen?.headers['x-forwarded-for'], '203.0.113.5, 10.0.0.4')
})
