/** What `tls` of a listener and of an upstream say about versions and ciphers, and how handshakes are counted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { TestCa } from '../../src/listener/testing/certificates.ts'
import { ask } from '../support/ask.ts'
import { RunningEdge } from '../support/edge-process.ts'
import { endOfFile } from '../support/ending.ts'
import { echoEndpoint } from '../support/endpoints.ts'
import { readMetrics } from '../support/read-metrics.ts'

const ending = endOfFile()

/** The cipher of a handshake, or null when there was none. */
function handshake(port: number, ciphers: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', ciphers, maxVersion: 'TLSv1.2', rejectUnauthorized: false })
    socket.on('error', () => resolve(null))
    socket.on('secureConnect', () => {
      resolve(socket.getCipher().name)
      socket.destroy()
    })
  })
}

test('ciphers of a listener and the oldest version of an upstream are obeyed, and handshakes counted', async () => {
  const ca = new TestCa('test')
  ending.after(() => ca.remove())
  const pair = ca.issue('/CN=localhost', 'DNS:localhost,IP:127.0.0.1')
  const old = await echoEndpoint(ending, { cert: pair.certificate, key: pair.key, maxVersion: 'TLSv1.2' })
  const edge = new RunningEdge(ending)
  edge.writePair('edge', pair)
  edge.write('ca.pem', ca.certificate)
  const certificates = 'certificates: [{ certificate: edge.pem, key: edge-key.pem }]'
  const process = await edge.start(
    `
listeners:
  public: { address: '127.0.0.1:0' }
  narrow: { address: '127.0.0.1:0', tls: { ${certificates}, ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305' } }
  usual: { address: '127.0.0.1:0', tls: { ${certificates} } }
upstreams:
  twelve: { endpoints: ['${old.url}'], ejection: off, tls: { ca: ca.pem } }
  thirteen: { endpoints: ['${old.url}'], ejection: off, tls: { ca: ca.pem, minVersion: TLSv1.3 } }
  checked: { endpoints: ['${old.url}'], tls: { ca: ca.pem, minVersion: TLSv1.3 }, healthCheck: { interval: 10m } }
routes:
  - { path: /twelve, upstream: twelve }
  - { path: /thirteen, upstream: thirteen }
  - { path: /checked, upstream: checked }
telemetry: { accessLog: off, metrics: { address: '127.0.0.1:0' } }
`,
    '--threads',
    '2',
  )
  const metrics = (await process.errLine(/metrics at (http:[^"\s]+)/))[1]
  const rows: [string, string, string | null][] = [
    ['narrow', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
    ['narrow', 'ECDHE-ECDSA-AES128-GCM-SHA256', null],
    ['usual', 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
    ['usual', 'ECDHE-ECDSA-AES128-SHA', null],
  ]
  for (const [listener, offered, chosen] of rows) {
    assert.equal(await handshake(edge.port(listener), offered), chosen, `${listener} ${offered}`)
  }
  assert.equal(rows.length, 4)
  const port = edge.port('public')
  assert.equal((await ask(port, '/twelve')).status, 200)
  const refused = await ask(port, '/thirteen')
  assert.deepEqual([refused.status, (JSON.parse(refused.body) as { code: string }).code], [502, 'upstream-tls-failed'])
  await process.errLine(/upstream checked: endpoint [^"]* is unhealthy/)
  assert.equal((await ask(port, '/checked')).status, 503)
  const page = await readMetrics(metrics)
  for (const listener of ['narrow', 'usual']) {
    assert.equal(page.value('sallyport_tls_handshakes_total', { listener, result: 'ok' }), 1, listener)
    assert.equal(page.value('sallyport_tls_handshakes_total', { listener, result: 'failed' }), 1, listener)
  }
  assert.equal(page.value('sallyport_refusals_total', { code: 'tls-handshake-failed' }), 2)
})
