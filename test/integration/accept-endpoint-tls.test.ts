/** TLS to endpoints: whom the edge trusts with a request, and how it shows itself. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { TlsOptions } from 'node:tls'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { freePorts, runHaproxy } from '../../src/listener/testing/haproxy.ts'
import type { CertificatePair } from '../../src/listener/tls/secure-context.ts'
import { eventually } from '../server-standin/process.ts'
import { needs } from '../setup/tools.ts'
import { ACCESS_LOG, RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { type EchoEndpoint, echoEndpoint, type RawEndpoint, rawEndpoint } from '../support/endpoints.ts'
import { exchangeBytes } from '../support/raw-client.ts'

const ending = endOfFile()
const edge = new RunningEdge(ending)
const OPENSSL = needs('openssl')

/** What an endpoint presents, and what the upstream says of TLS; `served` or the reason code. */
interface Case {
  readonly pair: keyof Pairs
  readonly tls: string | null
  readonly result: 'served' | 'upstream-tls-failed'
  readonly server?: Partial<TlsOptions>
  readonly host?: string
}

interface Pairs {
  readonly named: CertificatePair
  readonly address: CertificatePair
  readonly wildcard: CertificatePair
  readonly common: CertificatePair
  readonly expired: CertificatePair
  readonly foreign: CertificatePair
  readonly self: CertificatePair
}

const NAMED = 'ca: origin-ca.pem, serverName: orders.internal'

const CASES: Readonly<Record<string, Case>> = {
  name: { pair: 'named', tls: NAMED, result: 'served' },
  wildcard: { pair: 'wildcard', tls: 'ca: origin-ca.pem, serverName: eu.orders.internal', result: 'served' },
  address: { pair: 'address', tls: 'ca: origin-ca.pem', result: 'served' },
  localhost: { pair: 'address', tls: 'ca: origin-ca.pem', result: 'served', host: 'localhost' },
  bundle: { pair: 'named', tls: 'ca: both-ca.pem, serverName: orders.internal', result: 'served' },
  modern: { pair: 'named', tls: `${NAMED}, minVersion: TLSv1.3`, result: 'served' },
  old: { pair: 'named', tls: NAMED, result: 'served', server: { maxVersion: 'TLSv1.2' } },
  presented: {
    pair: 'named',
    tls: `${NAMED}, certificate: edge-client.pem, key: edge-client-key.pem`,
    result: 'served',
    server: { requestCert: true, rejectUnauthorized: true },
  },
  'self-signed-and-named': { pair: 'self', tls: 'ca: self.pem, serverName: orders.internal', result: 'served' },
  'wrong-ca': { pair: 'foreign', tls: NAMED, result: 'upstream-tls-failed' },
  'no-ca': { pair: 'named', tls: 'serverName: orders.internal', result: 'upstream-tls-failed' },
  'no-tls-section': { pair: 'named', tls: null, result: 'upstream-tls-failed' },
  'wrong-name': { pair: 'named', tls: 'ca: origin-ca.pem, serverName: users.internal', result: 'upstream-tls-failed' },
  'no-name': { pair: 'named', tls: 'ca: origin-ca.pem', result: 'upstream-tls-failed' },
  'wildcard-too-deep': {
    pair: 'wildcard',
    tls: 'ca: origin-ca.pem, serverName: a.eu.orders.internal',
    result: 'upstream-tls-failed',
  },
  'common-name-only': {
    pair: 'common',
    tls: 'ca: origin-ca.pem, serverName: other.internal',
    result: 'upstream-tls-failed',
  },
  expired: { pair: 'expired', tls: NAMED, result: 'upstream-tls-failed' },
  'self-signed': { pair: 'self', tls: NAMED, result: 'upstream-tls-failed' },
  'too-old': {
    pair: 'named',
    tls: `${NAMED}, minVersion: TLSv1.3`,
    result: 'upstream-tls-failed',
    server: { maxVersion: 'TLSv1.2' },
  },
  'tls-1-1': {
    pair: 'named',
    tls: NAMED,
    result: 'upstream-tls-failed',
    server: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
  },
  'wants-a-certificate-1-2': {
    pair: 'named',
    tls: NAMED,
    result: 'upstream-tls-failed',
    server: { requestCert: true, rejectUnauthorized: true, maxVersion: 'TLSv1.2' },
  },
  'refuses-ours': {
    pair: 'named',
    tls: `${NAMED}, certificate: stranger.pem, key: stranger-key.pem`,
    result: 'upstream-tls-failed',
    server: { requestCert: true, rejectUnauthorized: true, maxVersion: 'TLSv1.2' },
  },
}

const endpoints = new Map<string, EchoEndpoint>()
let silent: RawEndpoint
let haproxyPort = 0
let haproxyFiles: Readonly<Record<string, string>> = {}

before(async () => {
  const ca = new TestCa('Origin CA')
  // The same name: only the key tells them apart.
  const foreign = new TestCa('Origin CA')
  const pairs: Pairs = {
    named: ca.issue('/CN=x', 'DNS:orders.internal'),
    address: ca.issue('/CN=x', 'IP:127.0.0.1,DNS:localhost'),
    wildcard: ca.issue('/CN=x', 'DNS:*.orders.internal'),
    common: ca.issue('/CN=other.internal', 'DNS:orders.internal'),
    expired: ca.issue('/CN=x', 'DNS:orders.internal', -1),
    foreign: foreign.issue('/CN=x', 'DNS:orders.internal'),
    self: selfSigned(),
  }
  edge.write('origin-ca.pem', ca.certificate)
  edge.write('self.pem', pairs.self.certificate)
  edge.write('both-ca.pem', `${foreign.certificate}${ca.certificate}`)
  edge.writePair('edge-client', ca.issue('/CN=edge-1', ''))
  edge.writePair('stranger', foreign.issue('/CN=edge-1', ''))
  const upstreams: string[] = []
  const routes: string[] = []
  for (const [name, one] of Object.entries(CASES)) {
    const { certificate: cert, key } = pairs[one.pair]
    const echo = await echoEndpoint(ending, { cert, key, ca: ca.certificate, ...one.server })
    endpoints.set(name, echo)
    const tls = one.tls === null ? '' : `, tls: { ${one.tls} }`
    upstreams.push(`  ${name}: { endpoints: ['https://${one.host ?? '127.0.0.1'}:${echo.port}']${tls} }`)
    routes.push(`  - { path: /${name}, upstream: ${name} }`)
  }
  silent = await rawEndpoint(ending)
  const speaksHttp = await echoEndpoint(ending)
  for (const [name, port] of [
    ['silent', silent.port],
    ['speaks-http', speaksHttp.port],
  ] as const) {
    upstreams.push(`  ${name}: { endpoints: ['https://127.0.0.1:${port}'], timeouts: { connect: 500ms } }`)
    routes.push(`  - { path: /${name}, upstream: ${name} }`)
  }
  const named = pairs.named
  haproxyFiles = { 'ca.pem': ca.certificate, 'own.pem': `${named.certificate}${named.key}` }
  haproxyPort = (await freePorts(1))[0]!
  for (const [name, own] of [
    ['haproxy-none', ''],
    ['haproxy-stranger', ', certificate: stranger.pem, key: stranger-key.pem'],
    ['haproxy', ', certificate: edge-client.pem, key: edge-client-key.pem'],
  ] as const) {
    upstreams.push(`  ${name}: { endpoints: ['https://127.0.0.1:${haproxyPort}'], tls: { ${NAMED}${own} } }`)
    routes.push(`  - { path: /${name}, upstream: ${name} }`)
  }
  // For checks: endpoints that would be healthy were they not verified.
  for (const [name, one] of [
    ['checked', 'name'],
    ['checked-expired', 'expired'],
    ['checked-name', 'wrong-name'],
  ] as const) {
    const echo = await echoEndpoint(ending, {
      cert: pairs[CASES[one]!.pair].certificate,
      key: pairs[CASES[one]!.pair].key,
    })
    endpoints.set(name, echo)
    upstreams.push(
      `  ${name}: { endpoints: ['https://127.0.0.1:${echo.port}'], tls: { ${CASES[one]!.tls} }, healthCheck: { path: /up, interval: 100ms } }`,
    )
    routes.push(`  - { path: /${name}, upstream: ${name} }`)
  }
  after(() => {
    ca.remove()
    foreign.remove()
  })
  await edge.start(
    `
listeners: { public: { address: 127.0.0.1:0 } }
upstreams:
${upstreams.join('\n')}
routes:
${routes.join('\n')}
${ACCESS_LOG}
`,
    '--threads',
    '1',
  )
})

function selfSigned(): CertificatePair {
  const own = new TestCa('orders.internal')
  const { pair } = own
  own.remove()
  return pair
}

const ask = (path: string, method = 'POST'): Promise<{ text: string }> =>
  exchangeBytes(
    edge.port('public'),
    `${method} ${path} HTTP/1.1\r\nHost: secret.test\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret`,
  )

test('an endpoint gets a request only when its certificate verifies', OPENSSL, async () => {
  let ran = 0
  for (const [name, { result }] of Object.entries(CASES)) {
    const echo = endpoints.get(name)!
    const { text } = await ask(`/${name}`)
    if (result === 'served') {
      assert.match(text, /^HTTP\/1\.1 200 /, name)
      assert.equal(echo.seen[0]?.body, 'secret')
    } else {
      assert.match(text, /^HTTP\/1\.1 502 /, name)
      assert.match(text, new RegExp(`"code":"${result}"`), name)
      assert.doesNotMatch(text, /CERT|certificate|altname|issuer/i, 'no internals')
      assert.deepEqual(echo.seen, [], `${name}: nothing may reach it`)
    }
    ran++
  }
  assert.equal(ran, 22, 'certificates of endpoints')
  const lines = await edge.lines(22, 'endpoints', ({ upstream }) => String(upstream) in CASES)
  for (const { upstream, outcome } of lines) {
    const { result } = CASES[String(upstream)]!
    assert.equal(outcome, result === 'served' ? 'ok' : result, String(upstream))
  }
})

test('the edge presents its certificate', OPENSSL, () => {
  assert.deepEqual(endpoints.get('presented')?.subjects, ['CN=edge-1'])
})

test(
  'an endpoint that refuses our certificate by an alert is told apart from one that breaks off',
  needs('haproxy', 'openssl'),
  async (t) => {
    const section = `listen own\n  mode http\n  bind 127.0.0.1:${haproxyPort} ssl crt own.pem ca-file ca.pem verify required\n  http-request return status 200 content-type text/plain lf-string %[ssl_c_s_dn(CN)]\n`
    await runHaproxy(t, section, [haproxyPort], haproxyFiles)
    for (const name of ['haproxy-none', 'haproxy-stranger']) {
      // In TLS 1.3 the alert races the reset that our request provokes, so only one of several is sure to be told.
      const answers: string[] = []
      for (let i = 0; i < 8; i++) answers.push((await ask(`/${name}`)).text)
      for (const text of answers) assert.match(text, /^HTTP\/1\.1 502 .*"code":"upstream-(tls-failed|reset)"/s, name)
      assert.ok(
        answers.some((text) => text.includes('"code":"upstream-tls-failed"')),
        name,
      )
    }
    assert.match((await ask('/haproxy')).text, /^HTTP\/1\.1 200 .*\r\n\r\nedge-1$/s)
  },
)

test('the second connection resumes the session of the first', OPENSSL, async () => {
  for (const name of ['old', 'modern']) {
    const echo = endpoints.get(name)!
    const before = echo.handshakes
    for (let i = 0; i < 6; i++) assert.match((await ask(`/${name}?close`)).text, /^HTTP\/1\.1 200 /)
    // The first of them used the connection that was open.
    assert.equal(echo.handshakes - before, 5)
    assert.equal(echo.resumed, 5, name)
  }
})

test('an endpoint that does not speak TLS is refused, and sees nothing but a ClientHello', async () => {
  const spoken = await ask('/speaks-http')
  assert.match(spoken.text, /"code":"upstream-tls-failed"/)
  const { text } = await ask('/silent')
  assert.match(text, /^HTTP\/1\.1 504 /)
  assert.match(text, /"code":"upstream-connect-timeout"/)
  const { received } = silent.connections[0]!
  assert.equal(received[0], 0x16)
  assert.ok(!received.includes('secret'))
})

test('health checks verify as requests do', OPENSSL, async () => {
  assert.match((await ask('/checked')).text, /^HTTP\/1\.1 200 /)
  await eventually('a check', async () =>
    endpoints.get('checked')?.seen.some(({ url }) => url === '/up') ? true : null,
  )
  for (const name of ['checked-expired', 'checked-name']) {
    const text = await eventually(`${name} is down`, async () => {
      const answer = await ask(`/${name}`)
      return /"code":"upstream-unavailable"/.test(answer.text) ? answer.text : null
    })
    assert.match(text, /^HTTP\/1\.1 503 /)
    assert.deepEqual(endpoints.get(name)?.seen, [])
  }
  assert.match(edge.process.err, /checked-expired: endpoint 127\.0\.0\.1:\d+ .*is unhealthy: .*expired/)
})
