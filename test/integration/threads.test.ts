import assert from 'node:assert/strict'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { afterEach, beforeEach, test } from 'node:test'
import { findEdges } from '../../src/server/control-client.ts'
import { eventually, fetchText } from '../server-standin/process.ts'
import { EdgeFolder } from '../server-standin/real-edge.ts'

let edges: EdgeFolder

beforeEach(() => {
  edges = new EdgeFolder()
})

afterEach(() => edges.close())

test('every data thread serves the port, and the listing of them says so', async () => {
  const url = await edges.endpoint((_, response) => response.end('ok'))
  edges.write(`
listeners: { public: { address: '127.0.0.1:0' } }
upstreams: { app: { endpoints: ['${url}'], concurrency: { limit: 2, queue: 200, queueTimeout: 20s } } }
routes: [{ path: '/*', upstream: app }]
telemetry: { accessLog: off }
`)
  const edge = await edges.start('--threads', '3')
  assert.deepEqual(edge.out.trim().split('\n'), [`listening public ${edge.url('public')}`, 'ready'])
  const answers = await Promise.all(Array.from({ length: 120 }, () => fetchText(edge.url('public'))))
  assert.equal(answers.filter((answer) => answer.status === 200).length, 120)
  const [found] = await findEdges(edges.file)
  assert.equal(found.status.threads.length, 3)
  assert.ok(found.status.threads.every((thread) => thread.running))
})

test('a limit of concurrency holds over all threads together', async () => {
  let running = 0
  let most = 0
  const url = await edges.endpoint((_, response) => {
    most = Math.max(most, ++running)
    setTimeout(() => {
      running--
      response.end('ok')
    }, 20)
  })
  edges.write(`
listeners: { public: { address: '127.0.0.1:0' } }
upstreams: { app: { endpoints: ['${url}'], concurrency: { limit: 3, queue: 200, queueTimeout: 20s } } }
routes: [{ path: '/*', upstream: app }]
telemetry: { accessLog: off }
`)
  const edge = await edges.start('--threads', '2')
  const answers = await Promise.all(Array.from({ length: 60 }, () => fetchText(edge.url('public'))))
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200])
  assert.equal(most, 3)
})

test('an edge without listeners is refused with status 2', async () => {
  edges.write('listeners: {}\n')
  const edge = edges.spawn()
  assert.equal(await edge.exited, 2)
  assert.match(edge.err, /listeners/)
})

test('the problems of a configuration are printed as they are, and the status is 2', async () => {
  edges.write('listeners: { public: { address: nowhere } }\n')
  const edge = edges.spawn()
  assert.equal(await edge.exited, 2)
  assert.match(edge.err, /^\S+sallyport\.yaml:1:\d+ listeners\.public\.address: /)
  assert.equal(edge.out, '')
})

test('a metrics page counts what all threads did', async () => {
  edges.write(`
listeners: { public: { address: '127.0.0.1:0' } }
routes: [{ name: hello, path: '/*', respond: { status: 200, body: hello } }]
telemetry: { accessLog: off, metrics: { address: '127.0.0.1:0' } }
`)
  const edge = await edges.start('--threads', '2')
  const [, metrics] = await edge.errLine(/metrics at (http:[^"\s]+)/)
  await Promise.all(Array.from({ length: 40 }, () => fetchText(edge.url('public'))))
  await eventually('40 requests', async () => {
    const { body } = await fetchText(metrics)
    return body.includes('sallyport_requests_total{route="hello",status="2xx"} 40') || null
  })
  assert.match((await fetchText(metrics)).body, /sallyport_threads 2/)
})

test('the access log of all threads is whole lines, in a new file after SIGUSR1', async () => {
  const log = `${edges.folder}/access.jsonl`
  const linesOf = (file: string): string[] => readFileSync(file, 'utf8').trim().split('\n')
  edges.write(`
listeners: { public: { address: '127.0.0.1:0' } }
routes: [{ path: '/*', respond: { status: 200, body: hello } }]
telemetry: { accessLog: { path: access.jsonl } }
`)
  const edge = await edges.start('--threads', '2')
  await Promise.all(Array.from({ length: 50 }, () => fetchText(edge.url('public'))))
  await eventually('50 lines', async () => linesOf(log).length === 50 || null)
  renameSync(log, `${log}.1`)
  edge.signal('SIGUSR1')
  await eventually('the new file', async () => existsSync(log) || null)
  await Promise.all(Array.from({ length: 30 }, () => fetchText(edge.url('public'))))
  edge.signal('SIGTERM')
  assert.equal(await edge.exited, 0)
  const lines = [...linesOf(`${log}.1`), ...linesOf(log)]
  assert.equal(lines.length, 80)
  for (const line of lines) assert.equal(JSON.parse(line).outcome, 'fixed-response')
})

test('a listener of mode tcp passes bytes to its upstream and logs each connection', async () => {
  const url = await edges.endpoint((_, response) => response.end('through tcp'))
  edges.write(`
listeners: { balancer: { address: '127.0.0.1:0', mode: tcp, upstream: edges } }
upstreams: { edges: { endpoints: ['${url.replace('http', 'tcp')}'] } }
telemetry: { accessLog: { path: access.jsonl } }
`)
  const edge = await edges.start('--threads', '2')
  assert.match(edge.url('balancer'), /^tcp:\/\/127\.0\.0\.1:\d+$/)
  assert.equal((await fetchText(edge.url('balancer').replace('tcp', 'http'))).body, 'through tcp')
  edge.signal('SIGTERM')
  assert.equal(await edge.exited, 0)
  const line = JSON.parse(readFileSync(`${edges.folder}/access.jsonl`, 'utf8'))
  assert.equal(line.upstream, 'edges')
  assert.equal(line.outcome, 'ok')
})

test('one data thread at rest takes less than 165 MB from a checkout', async () => {
  edges.write(`
listeners: { public: { address: '127.0.0.1:0' } }
routes: [{ path: '/*', respond: { status: 200, body: hello } }]
`)
  const edge = await edges.start('--threads', '1')
  const status = readFileSync(`/proc/${edge.pid}/status`, 'utf8')
  const megabytes = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
  assert.ok(megabytes < 165, `${megabytes.toFixed(0)} MB`)
})
