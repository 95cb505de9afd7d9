/** The suite itself is tested here: a proxy that forwards everything as it is must fail most of it. */
import assert from 'node:assert/strict'
import { connect, createServer, type Server } from 'node:net'
import { after, before, test } from 'node:test'
import { requestGroups } from './cases/all.ts'
import { RecordingBackend } from './harness/backend.ts'
import { judgeRequest, type Subject } from './harness/judge.ts'
import { couldReach } from './harness/path-readings.ts'
import { readRequest, readResponses } from './harness/wire.ts'

const backend = new RecordingBackend()
let relay: Server
let subject: Subject

before(async () => {
  const backendPort = await backend.listen()
  // The worst proxy there is: bytes in, bytes out.
  relay = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: backendPort, host: '127.0.0.1', allowHalfOpen: true })
    client.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  const address = relay.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  subject = { port: () => address.port, backend, strict: false }
})

after(async () => {
  relay.close()
  await backend.close()
})

const MUST_FAIL = [
  'te-after-cl',
  'te-prefixed',
  'cl-twice-differs',
  'chunk-line-data-lf',
  'line-target-nul',
  'host-none',
  'field-name-space-before-colon',
  'hop-named',
  'forge-x-forwarded-for',
  'path-encoded-dots',
  'smuggle-cl-te',
]

test('a proxy that passes bytes through fails the cases that matter', async () => {
  const all = Object.values(requestGroups).flat()
  const passed: string[] = []
  for (const id of MUST_FAIL) {
    const testCase = all.find((candidate) => candidate.id === id)
    if (testCase !== undefined && (await judgeRequest(subject, testCase)) === null) passed.push(id)
  }
  assert.deepEqual(passed, [])
})

test('a proxy that passes bytes through still passes what is harmless', async () => {
  const all = Object.values(requestGroups).flat()
  for (const id of ['chunk-one', 'cl-plain', 'pipe-two', 'field-plain', 'path-kept-plain']) {
    const testCase = all.find((candidate) => candidate.id === id)
    assert.ok(testCase, id)
    assert.equal(await judgeRequest(subject, testCase), null, id)
  }
})

test('the reader notes every breach that the cases rely on', () => {
  const problems = (text: string): readonly string[] => readRequest(text)?.problems ?? ['unread']
  assert.deepEqual(problems('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), [])
  for (const text of [
    'GET  / HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nX: a\n b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n',
    'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ]) {
    assert.notEqual(problems(text).length, 0, JSON.stringify(text))
  }
  assert.equal(readResponses('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfi', ['GET'], true)[0]?.complete, false)
  assert.equal(readResponses('HTTP/1.1 204 No\r\nContent-Length: 4\r\n\r\n', ['GET'], true)[0]?.problems.length, 1)
})

test('every way an endpoint may read a path is tried', () => {
  const reached = [
    '/admin',
    '/x/..;/admin',
    '/%2561dmin',
    '/x%5c..%5cadmin',
    '/admin%00.html',
    '/x//../../admin',
    '/.%00./admin',
  ]
  const apart = ['/admins', '/x/admin', '/a?/../admin', '/x/..x/admin', '/adm%20in']
  assert.deepEqual(
    reached.filter((path) => !couldReach(path, 'admin')),
    [],
  )
  assert.deepEqual(
    apart.filter((path) => couldReach(path, 'admin')),
    [],
  )
})
