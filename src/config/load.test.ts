import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ConfigError } from './config-error.ts'
import { loadConfig } from './load.ts'
import { POLICY_NAMES } from './policies.schema.ts'

let folder = ''

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-config-'))
  for (const name of ['edge', 'other']) {
    const subject = `-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=${name}.test`.split(
      ' ',
    )
    const output = ['-keyout', join(folder, `${name}-key.pem`), '-out', join(folder, `${name}.pem`)]
    execFileSync('openssl', ['req', ...subject, ...output], { stdio: 'ignore' })
  }
})
after(() => rmSync(folder, { recursive: true, force: true }))

function load(yaml: string, env: Record<string, string> = {}, nowMs = Date.now()) {
  const file = join(folder, 'sallyport.yaml')
  writeFileSync(file, yaml)
  return loadConfig(file, { env, nowMs })
}

function problems(yaml: string | Buffer, env: Record<string, string> = {}): string[] {
  const file = join(folder, 'sallyport.yaml')
  writeFileSync(file, yaml)
  try {
    loadConfig(file, { env })
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.lines.map((line) => line.replace(`${file}:`, ''))
  }
  return []
}

test('what the file leaves out has the defaults of the configuration page', () => {
  const { config, warnings } = load(`
listeners: { public: { address: 127.0.0.1:8080 } }
upstreams: { a: { endpoints: ['http://127.0.0.1:1'], retry: {}, concurrency: {}, healthCheck: {} } }
routes: [{ path: /a, upstream: a }, { host: a.test, methods: [GET], upstream: a }, { host: a.test, methods: [PUT], upstream: a }]`)
  const none = Number.POSITIVE_INFINITY
  assert.deepEqual(warnings, [])
  assert.deepEqual(config.listeners, {
    public: {
      address: { host: '127.0.0.1', port: 8080 },
      mode: 'http',
      upstream: null,
      compat: 'none',
      tls: null,
      http2: false,
      proxyProtocol: null,
      trustedProxies: [],
      limits: {
        headBytes: 32_768,
        headers: 100,
        urlBytes: 8192,
        bodyBytes: 10_485_760,
        connections: 10_000,
        connectionsPerClient: none,
        handshakes: 1000,
        handshakesPerClient: none,
      },
      timeouts: { handshake: 10_000, head: 10_000, body: 30_000, idle: 60_000 },
    },
  })
  assert.deepEqual(config.upstreams, {
    a: {
      endpoints: [{ url: { scheme: 'http', host: '127.0.0.1', port: 1 }, weight: 1, zone: null }],
      balancer: 'least-requests',
      hash: null,
      healthCheck: { path: '/healthz', interval: 5000, timeout: 1000, healthyAfter: 2, unhealthyAfter: 3 },
      ejection: { consecutiveFailures: 5, for: 30_000, maxShare: 0.5 },
      concurrency: { limit: 100, queue: 500, queueTimeout: 2000 },
      retry: { attempts: 2, on: ['connect', 'reset', '502', '503'], budget: 0.2 },
      timeouts: { connect: 2000, response: 30_000, idle: 60_000 },
      tls: null,
      proxyProtocol: null,
      slowStart: null,
      dns: { refresh: 30_000 },
      http2: false,
    },
  })
  assert.deepEqual(
    config.routes.map((route) => route.name),
    ['/a', 'a.test/*', 'PUT a.test/*'],
  )
  assert.equal(config.telemetry.metrics, null)
  assert.equal(config.telemetry.traces, null)
  assert.deepEqual(config.telemetry.accessLog, { path: '-', format: 'json' })
  assert.deepEqual(config.state, { store: `sqlite:${join(folder, 'sallyport.db')}`, counters: 'memory' })
  assert.deepEqual(config.drain, { timeout: 30_000 })
  assert.equal(config.threads, 'auto')
  assert.deepEqual(structuredClone(config), config)
})

test('certificates and keys come in as text, checked against each other', () => {
  const { config, warnings } = load(`
listeners:
  public:
    address: 0.0.0.0:8443
    tls:
      certificates: [{ certificate: edge.pem, key: edge-key.pem }]
      clientCertificate: { ca: other.pem }
upstreams: { a: { endpoints: ['https://127.0.0.1:1'], tls: { ca: other.pem, certificate: edge.pem, key: edge-key.pem } } }
routes: [{ upstream: a }]`)
  const pem = (name: string) => readFileSync(join(folder, name), 'latin1')
  assert.deepEqual(warnings, [])
  assert.deepEqual(config.listeners.public?.tls?.certificates, [
    { certificate: pem('edge.pem'), key: pem('edge-key.pem') },
  ])
  assert.deepEqual(config.listeners.public?.tls?.clientCertificate, { ca: pem('other.pem'), mode: 'require' })
  assert.equal(config.upstreams.a?.tls?.ca, pem('other.pem'))
  assert.equal(config.upstreams.a?.tls?.key, pem('edge-key.pem'))
})

test('a key of another certificate, a key that is none and a certificate that is none are told apart', () => {
  writeFileSync(join(folder, 'broken.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
  const found = problems(`
listeners:
  public:
    address: 0.0.0.0:8443
    tls:
      certificates:
        - { certificate: edge.pem, key: other-key.pem }
        - { certificate: edge.pem, key: edge.pem }
        - { certificate: edge-key.pem, key: edge-key.pem }
        - { certificate: broken.pem, key: edge-key.pem }
        - { certificate: ., key: edge-key.pem }
routes: [{ respond: {} }]`)
  assert.deepEqual(
    found.map((line) => line.replace(/^.*certificates/, '')),
    [
      '[0].key: is not the key of this certificate, got "other-key.pem"',
      '[1].key: is not a private key in PEM, got "edge.pem"',
      '[2].certificate: has no certificate in PEM, got "edge-key.pem"',
      '[3].certificate: has a certificate that cannot be read, got "broken.pem"',
      '[4].certificate: cannot be read: it is a directory, got "."',
    ],
  )
})

test('a certificate outside its time is a warning', () => {
  const yaml = `
listeners: { public: { address: 0.0.0.0:8443, tls: { certificates: [{ certificate: edge.pem, key: edge-key.pem }] } } }
routes: [{ respond: {} }]`
  assert.match(load(yaml, {}, Date.now() + 90 * 86_400_000).warnings.join(), /certificate: has expired on/)
  assert.match(load(yaml, {}, Date.now() - 90 * 86_400_000).warnings.join(), /certificate: is not valid before/)
})

test('secrets come from the environment and from files, whole or inside of a text', () => {
  writeFileSync(join(folder, 'token'), 'from-file\n')
  const { config } = load(
    `
listeners: {}
policies: { headers: { request: { set: { A: '\${env:ONE}', B: 'Bearer \${file:token}', C: '\${env:ONE}-\${env:TWO}', D: 'a $\${b} c', E: '$\${env:ONE}' } } } }`,
    { ONE: 'first', TWO: `\${env:ONE}` },
  )
  const { set } = config.policies.headers!.request
  // A value is never looked at again: what a secret holds cannot refer to another.
  assert.deepEqual(
    { ...set },
    { A: 'first', B: 'Bearer from-file', C: `first-\${env:ONE}`, D: `a \${b} c`, E: `\${env:ONE}` },
  )
})

test('no problem and no warning shows what a reference holds', () => {
  const secret = 'c0rrect-h0rse'
  const keys = [
    'address',
    'mode',
    'upstream',
    'compat',
    'tls',
    'http2',
    'proxyProtocol',
    'trustedProxies',
    'limits',
    'timeouts',
  ]
  const routeKeys = [
    'name',
    'host',
    'path',
    'methods',
    'headers',
    'query',
    'from',
    'upstream',
    'split',
    'respond',
    'redirect',
    'rewrite',
    'policies',
  ]
  const yaml = `
listeners: { a: { ${keys.map((key) => `${key}: '\${env:S} \${env:S}'`).join(', ')} } }
upstreams: { a: { endpoints: ['\${env:S}', { url: '\${env:S}', weight: '\${env:S}' }], balancer: '\${env:S}', retry: { on: ['\${env:S}'] } } }
routes: [{ ${routeKeys.map((key) => `${key}: '\${env:S}'`).join(', ')} }, { path: /a, upstream: '\${env:S}' }, { path: '/b/\${env:S}', redirect: { to: '/{\${env:S}}' } }]
state: { store: '\${env:S}' }
telemetry: '\${env:S}'
admin: { token: '\${env:S}' }`
  const found = problems(yaml, { S: secret })
  assert.ok(found.length > 25, `${found.length} problems`)
  assert.ok(!found.join('\n').includes(secret), found.filter((line) => line.includes(secret)).join('\n'))
})

test('a hostile file is refused quickly: too long, too deep, too many aliases, not UTF-8', () => {
  const bomb = Array.from({ length: 9 }, (_, i) => `- &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`).join('\n')
  const cases: [string | Buffer, RegExp][] = [
    [`listeners: {}\n#${'x'.repeat(4 * 1024 * 1024)}`, /1:1 file: cannot be read: it is longer than 4194304 bytes/],
    ['['.repeat(100_000), /yaml: is nested too deeply|yaml: /],
    [`listeners: {}\nroutes:\n- &a0 [x, x, x, x, x, x, x, x, x]\n${bomb}`, /aliases repeat too much of the file/],
    [Buffer.from([0x6c, 0xff, 0xfe]), /1:1 file: cannot be read: it is not UTF-8/],
  ]
  for (const [text, expected] of cases) {
    const startMs = performance.now()
    assert.match(problems(text).join('\n'), expected)
    assert.ok(performance.now() - startMs < 10_000, `${expected} took too long`)
  }
  assert.equal(cases.length, 4)
})

test('a file that is not there is one problem', () => {
  assert.throws(
    () => loadConfig(join(folder, 'gone.yaml'), { env: {} }),
    /gone.yaml:1:1 file: cannot be read: there is no such file/,
  )
})

test('10,000 routes load in seconds of processor time', () => {
  let yaml =
    "listeners: { p: { address: '127.0.0.1:0' } }\nupstreams: { a: { endpoints: ['http://127.0.0.1:1'] } }\nroutes:\n"
  for (let i = 0; i < 10_000; i++) yaml += `  - { path: '/service${i}/{id}/*', methods: [GET, POST], upstream: a }\n`
  // Processor time, all threads of the process: the clock on the wall tells what else the machine does.
  const before = process.cpuUsage()
  assert.equal(load(yaml).config.routes.length, 10_000)
  const { user, system } = process.cpuUsage(before)
  assert.ok(user + system < 8_000_000, `${(user + system) / 1000} ms`)
  assert.equal(problems(yaml.replaceAll('upstream: a ', 'upstream: b ')).length, 501)
})

test('every key of the configuration page is taken, or refused as not available and for nothing else', () => {
  const yaml = readFileSync(new URL('../../test/golden/config/every-key.yaml', import.meta.url), 'utf8')
  const found = problems(yaml)
  for (const line of found) assert.match(line, /: not available in this version \(/)
  const paths = found.map((line) => line.split(' ')[1]?.replace(':', ''))
  assert.equal(paths.filter((path) => path?.startsWith('policies.')).length, POLICY_NAMES.length - 1)
  assert.deepEqual(
    paths.filter((path) => !path?.startsWith('policies.')),
    [
      'upstreams.locked.lock',
      'upstreams.files.s3',
      'upstreams.code.lambda',
      'upstreams.module.lambda',
      'upstreams.inside.link',
      'routes[0].policies.apiKey',
      'routes[0].policies.rateLimit',
      'plans',
      'telemetry.auditLog',
      'admin',
    ],
  )
})
