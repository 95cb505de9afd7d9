/** What tables cannot say: the order in which bytes move through a running edge. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { RawBackend, RecordingBackend, send } from './harness/backend.ts'
import { Talk } from './harness/client.ts'
import { suiteConfig } from './harness/config.ts'
import { Edge } from './harness/edge.ts'
import { fieldValue, type Response, readResponses } from './harness/wire.ts'

const recorder = new RecordingBackend()
const raw = new RawBackend(() => {})
let edge: Edge

const recorderPort = recorder.listen()

before(async () => {
  edge = await Edge.start(suiteConfig(await recorderPort, await raw.listen()))
})

after(async () => {
  await edge?.stop()
  await recorder.close()
  await raw.close()
})

const HOST = 'Host: a.test\r\n'
const get = (path: string, headers = ''): string => `GET ${path} HTTP/1.1\r\n${HOST}${headers}\r\n`
const first = (talk: Talk, method = 'GET'): Response | undefined => readResponses(talk.text, [method], talk.ended)[0]
const whole = (count: number) => (text: string) =>
  readResponses(text, [], false).filter((r) => r.complete).length >= count

/** An endpoint's side of one connection: everything that came, and a way to wait for more. */
class Endpoint {
  text = ''
  ended = false
  socket: Socket | null = null
  #wake: (() => void) | null = null

  /** Takes the next connection that the edge opens; `onText` is called with all text after every arrival. */
  constructor(onText: (text: string, socket: Socket) => void = () => {}) {
    raw.onConnection = (socket) => {
      this.socket = socket
      this.text = ''
      socket.on('data', (data: Buffer) => {
        this.text += data.latin1Slice()
        onText(this.text, socket)
        this.#wake?.()
      })
      for (const event of ['end', 'close', 'error'] as const) {
        socket.on(event, () => {
          this.ended = true
          this.#wake?.()
        })
      }
    }
  }

  async until(what: (endpoint: Endpoint) => boolean, why: string): Promise<void> {
    const deadline = Date.now() + 3000
    while (!what(this)) {
      const left = deadline - Date.now()
      if (left <= 0) throw new Error(`${why}; the endpoint has ${JSON.stringify(this.text.slice(-200))}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  send(text: string): void {
    if (this.socket !== null) send(this.socket, text)
  }

  /** Ends the connection, so that the edge opens a new one for the next test. */
  close(): void {
    this.socket?.destroy()
  }
}

test('a client that has said all and half-closed still gets its answer', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(get('/raw/half'))
  talk.socket.end()
  await endpoint.until(({ text }) => text.includes('\r\n\r\n'), 'the request arrives')
  endpoint.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine')
  await talk.until(whole(1), 'the answer comes')
  await talk.untilEnd('the edge closes after it')
  assert.equal(first(talk)?.body, 'fine')
  endpoint.close()
})

test('an answer that comes while the body is still being sent reaches the client at once', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(`POST /raw/early HTTP/1.1\r\n${HOST}Content-Length: 100000\r\n\r\nfirst`)
  await endpoint.until(({ text }) => text.endsWith('first'), 'the beginning of the body arrives')
  endpoint.send('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno')
  await talk.until(whole(1), 'the early answer comes')
  assert.equal(first(talk)?.status, 413)
  assert.equal(first(talk)?.body, 'no')
  talk.close()
  endpoint.close()
})

test('the rest of a body that was answered early is never taken for a request', async () => {
  const endpoint = new Endpoint((text, socket) => {
    if (text.includes('early-close'))
      send(socket, 'HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno')
  })
  recorder.clear()
  const talk = await Talk.open(edge.port('public'))
  const evil = get('/smuggled-by-early-answer')
  talk.send(`POST /raw/early-close HTTP/1.1\r\n${HOST}Content-Length: ${evil.length}\r\n\r\n`)
  await talk.until(whole(1), 'the early answer comes')
  talk.send(evil)
  talk.send(get('/after-early'))
  await talk
    .until((text) => text.includes('/after-early') || talk.ended, 'the connection goes on or ends')
    .catch(() => {})
  assert.deepEqual(
    recorder.requests.filter(({ target }) => target.includes('smuggled')),
    [],
  )
  talk.close()
  endpoint.close()
})

test('a 100 of the endpoint lets a waiting client send its body', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(`POST /raw/continue HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`)
  await endpoint.until(({ text }) => text.includes('\r\n\r\n'), 'the head arrives without its body')
  endpoint.send('HTTP/1.1 100 Continue\r\n\r\n')
  await talk.until((text) => text.startsWith('HTTP/1.1 100 '), 'the 100 comes')
  talk.send('hello')
  await endpoint.until(({ text }) => text.endsWith('hello'), 'the body arrives')
  endpoint.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine')
  await talk.until(whole(1), 'the answer comes')
  assert.equal(first(talk)?.status, 200)
  talk.close()
  endpoint.close()
})

test('a waiting client whose request is refused by the endpoint gets the refusal, not a 100', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(`POST /raw/refused HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`)
  await endpoint.until(({ text }) => text.includes('\r\n\r\n'), 'the head arrives')
  endpoint.send('HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  await talk.until(whole(1), 'the answer comes')
  assert.equal(first(talk)?.status, 401)
  assert.ok(!talk.text.includes('100 Continue'))
  talk.close()
  endpoint.close()
})

test('early hints come before the answer is there', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(get('/raw/hints'))
  await endpoint.until(({ text }) => text.includes('\r\n\r\n'), 'the request arrives')
  endpoint.send('HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n')
  await talk.until((text) => text.startsWith('HTTP/1.1 103 '), 'the hints come')
  endpoint.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine')
  await talk.until(whole(1), 'the answer comes')
  talk.close()
  endpoint.close()
})

const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

test('after a 101 bytes flow both ways, those right behind the heads included', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(`${get('/raw/ws', UPGRADE)}client-first`)
  await endpoint.until(({ text }) => text.includes('\r\n\r\n'), 'the request arrives')
  assert.match(endpoint.text, /^upgrade: websocket\r$/im)
  assert.match(endpoint.text, /^connection:.*upgrade/im)
  endpoint.send(`${SWITCH}endpoint-first`)
  await talk.until((text) => text.endsWith('endpoint-first'), 'bytes behind the 101 come')
  assert.equal(first(talk)?.status, 101)
  await endpoint.until(({ text }) => text.endsWith('client-first'), 'bytes behind the request arrive')
  talk.send('\x81\x85GET / HTTP/1.1\r\n\r\n\0\xff')
  await endpoint.until(({ text }) => text.endsWith('\x81\x85GET / HTTP/1.1\r\n\r\n\0\xff'), 'bytes are not looked at')
  endpoint.send('\x82\x7e\0\xff')
  await talk.until((text) => text.endsWith('\x82\x7e\0\xff'), 'and come back')
  endpoint.socket?.end()
  await talk.untilEnd('the end of the endpoint ends the tunnel')
  talk.close()
  endpoint.close()
})

test('bytes sent behind an upgrade that was declined are requests like any other', async () => {
  const endpoint = new Endpoint((text, socket) => {
    if (text.includes('/raw/declined'))
      send(socket, 'HTTP/1.1 426 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  })
  recorder.clear()
  const talk = await Talk.open(edge.port('public'))
  talk.send(get('/raw/declined', UPGRADE) + get('/behind-declined', 'X-Forwarded-For: 6.6.6.6\r\n'))
  await talk.until((text) => whole(2)(text) || talk.ended, 'the second is answered or the connection ends')
  assert.equal(first(talk)?.status, 426)
  assert.ok(recorder.requests.every((request) => fieldValue(request, 'x-forwarded-for') === '127.0.0.1'))
  assert.ok(!endpoint.text.includes('behind-declined'), 'nothing follows on the connection of the first')
  talk.close()
  endpoint.close()
})

test('each event of a stream arrives before the next one is sent', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(get('/raw/events', 'Accept: text/event-stream\r\n'))
  await endpoint.until(({ text }) => text.includes('\r\n\r\n'), 'the request arrives')
  endpoint.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n')
  await talk.until((text) => text.includes('text/event-stream'), 'the head comes before any event')
  for (const event of ['data: one\n\n', 'data: two\n\n', ': ping\n\n']) {
    endpoint.send(event)
    await talk.until((text) => text.includes(event), `the event ${JSON.stringify(event)} comes`)
  }
  endpoint.socket?.end()
  await talk.until((text) => readResponses(text, ['GET'], talk.ended)[0]?.complete === true, 'the stream ends well')
  talk.close()
})

test('each chunk of a request body arrives before the next one is sent', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(`POST /raw/chunks HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`)
  for (const piece of ['alpha', 'beta', 'gamma']) {
    talk.send(`${piece.length.toString(16)}\r\n${piece}\r\n`)
    await endpoint.until(({ text }) => text.includes(piece), `${piece} arrives`)
  }
  talk.send('0\r\n\r\n')
  await endpoint.until(({ text }) => text.endsWith('0\r\n\r\n'), 'the end arrives')
  endpoint.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  await talk.until(whole(1), 'the answer comes')
  talk.close()
  endpoint.close()
})

test('pipelined requests are answered in their order, however late the first is', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(get('/raw/late') + get('/quick'))
  await endpoint.until(({ text }) => text.includes('/raw/late'), 'the first request arrives')
  endpoint.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlate')
  await talk.until(whole(2), 'both answers come')
  assert.deepEqual(
    readResponses(talk.text, [], false).map((response) => response.body),
    ['late', '</quick>'],
  )
  talk.close()
  endpoint.close()
})

test('a reset of the client ends what runs for it', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(get('/raw/left'))
  await endpoint.until(({ text }) => text.includes('\r\n\r\n'), 'the request arrives')
  endpoint.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\nbeginning')
  await talk.until((text) => text.endsWith('beginning'), 'the answer begins')
  talk.socket.resetAndDestroy()
  await endpoint.until(({ ended }) => ended, 'the connection to the endpoint ends')
})

test('an endpoint that breaks off in the middle never leaves the client with something that looks whole', async () => {
  for (const framing of ['Content-Length: 1000\r\n', 'Transfer-Encoding: chunked\r\n']) {
    const endpoint = new Endpoint()
    const talk = await Talk.open(edge.port('public'))
    talk.send(get('/raw/broken'))
    await endpoint.until(({ text }) => text.includes('\r\n\r\n'), 'the request arrives')
    endpoint.send(`HTTP/1.1 200 OK\r\n${framing}\r\n4\r\nhalf\r\n`)
    await talk.until((text) => text.includes('half'), 'the answer begins')
    endpoint.socket?.resetAndDestroy()
    await talk.untilEnd('the client is not left waiting')
    assert.equal(first(talk)?.complete, false)
    talk.close()
  }
})

test('20 MB go through each way unchanged, to a client that reads slowly', async () => {
  const size = 20 << 20
  const body = Buffer.alloc(size, 'sallyport-0123456789')
  const sum = createHash('sha256').update(body).digest('hex')
  const uploaded = createHash('sha256')
  let taken = 0
  raw.onConnection = (socket) => {
    let headEnd = -1
    socket.on('data', (data: Buffer) => {
      let part = data
      if (headEnd < 0) {
        headEnd = data.indexOf('\r\n\r\n')
        part = data.subarray(headEnd + 4)
      }
      uploaded.update(part)
      taken += part.length
      if (taken < size) return
      socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`)
      socket.write(body)
    })
  }
  const talk = await Talk.open(edge.port('behind'))
  talk.socket.removeAllListeners('data')
  const downloaded = createHash('sha256')
  let got = 0
  let head = ''
  talk.socket.on('data', (data: Buffer) => {
    let part = data
    if (!head.includes('\r\n\r\n')) {
      head += data.latin1Slice()
      const end = head.indexOf('\r\n\r\n')
      part = end < 0 ? data.subarray(data.length) : data.subarray(data.length - (head.length - end - 4))
    }
    downloaded.update(part)
    got += part.length
    // A pause after every read: the edge meets a full window again and again.
    talk.socket.pause()
    setImmediate(() => talk.socket.resume())
    if (got === size) talk.socket.emit('all')
  })
  const all = once(talk.socket, 'all')
  talk.send(`POST /raw/bulk HTTP/1.1\r\n${HOST}Content-Length: ${size}\r\n\r\n`)
  talk.socket.write(body)
  await all
  assert.match(head, /^HTTP\/1\.1 200 /)
  assert.equal(uploaded.digest('hex'), sum)
  assert.equal(downloaded.digest('hex'), sum)
  talk.close()
})

test('trailers of the endpoint reach a client that asked for them', async () => {
  const endpoint = new Endpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(get('/raw/trailers', 'Connection: TE\r\nTE: trailers\r\n'))
  await endpoint.until(({ text }) => text.includes('\r\n\r\n'), 'the request arrives')
  endpoint.send(
    'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nfine\r\n0\r\nX-Sum: 7\r\n\r\n',
  )
  await talk.until(whole(1), 'the answer comes')
  assert.deepEqual(first(talk)?.trailers, [{ name: 'X-Sum', value: '7' }])
  talk.close()
  endpoint.close()
})

/** Closes its connection just as a second request comes in; counts what it saw. */
function staleEndpoint(): { seen: string[] } {
  const seen: string[] = []
  let connections = 0
  raw.onConnection = (socket) => {
    const mine = ++connections
    let requests = 0
    let text = ''
    socket.on('data', (data: Buffer) => {
      text += data.latin1Slice()
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) return
      seen.push(text.slice(0, text.indexOf(' HTTP')))
      text = ''
      requests++
      if (mine === 1 && requests === 2) socket.resetAndDestroy()
      else send(socket, `HTTP/1.1 200 OK\r\n${mine === 1 ? '' : 'Connection: close\r\n'}Content-Length: 4\r\n\r\nfine`)
    })
  }
  return { seen }
}

test('a GET that met a connection the endpoint was just closing is repeated once', async () => {
  const { seen } = staleEndpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(get('/raw/stale-1'))
  await talk.until(whole(1), 'the first answer comes')
  talk.send(get('/raw/stale-2'))
  await talk.until(whole(2), 'the second answer comes')
  assert.deepEqual(
    readResponses(talk.text, [], false).map((response) => response.status),
    [200, 200],
  )
  assert.deepEqual(seen, ['GET /raw/stale-1', 'GET /raw/stale-2', 'GET /raw/stale-2'])
  talk.close()
})

test('a POST that met such a connection is not repeated', async () => {
  const { seen } = staleEndpoint()
  const talk = await Talk.open(edge.port('public'))
  talk.send(get('/raw/once-1'))
  await talk.until(whole(1), 'the first answer comes')
  talk.send(`POST /raw/once-2 HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`)
  await talk.until(whole(2), 'the second answer comes')
  assert.equal(readResponses(talk.text, [], false)[1]?.status, 502)
  assert.deepEqual(seen, ['GET /raw/once-1', 'POST /raw/once-2'])
  talk.close()
})

test('a head that does not arrive in time is answered with 408, a body too', async () => {
  for (const begin of [
    `GET /slow HTTP/1.1\r\n${HOST}`,
    `POST /slow HTTP/1.1\r\n${HOST}Content-Length: 10\r\n\r\nhalf`,
  ]) {
    const talk = await Talk.open(edge.port('small'))
    talk.send(begin)
    await talk.untilEnd('the edge gives up')
    assert.equal(first(talk)?.status, 408, begin)
    talk.close()
  }
})

test('a client that sends a byte now and then does not outlive the limit for the head', async () => {
  const talk = await Talk.open(edge.port('small'))
  const started = Date.now()
  const drip = setInterval(() => talk.send('x'), 50)
  talk.send(`GET /drip HTTP/1.1\r\n${HOST}X: `)
  await talk.untilEnd('the edge gives up', 4000)
  clearInterval(drip)
  assert.ok(Date.now() - started < 3000)
  talk.close()
})

test('an idle connection is closed without a word', async () => {
  const talk = await Talk.open(edge.port('small'))
  talk.send(get('/then-idle'))
  await talk.until(whole(1), 'the answer comes')
  const { length } = talk.text
  await talk.untilEnd('the edge closes it')
  assert.equal(talk.text.length, length)
  talk.close()
})

test('a HEAD that the edge answers itself has no body', async () => {
  const talk = await Talk.open(edge.port('public'))
  talk.send(`HEAD /admin/x HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`)
  await talk.untilEnd('the connection ends')
  assert.equal(first(talk, 'HEAD')?.status, 403)
  assert.ok(talk.text.endsWith('\r\n\r\n'))
  talk.close()
})

test('405 names what is allowed where only other methods have a route, 404 is for no route at all', async () => {
  const closed = await Edge.start(`
listeners: { public: { address: 127.0.0.1:0 } }
upstreams: { recorder: { endpoints: ['http://127.0.0.1:${await recorderPort}'] } }
routes: [{ path: /only-get, methods: [GET], upstream: recorder }]
telemetry: { accessLog: off }
threads: 1
`)
  try {
    const talk = await Talk.open(closed.port('public'))
    talk.send(`DELETE /only-get HTTP/1.1\r\n${HOST}\r\n`)
    await talk.until(whole(1), 'the answer comes')
    const response = first(talk) as Response
    assert.equal(response.status, 405)
    const allow = fieldValue(response, 'allow')?.split(/, */) ?? []
    assert.deepEqual(
      allow.filter((method) => method !== 'OPTIONS'),
      ['GET', 'HEAD'],
    )
    talk.send(get('/elsewhere'))
    await talk.until(whole(2), 'the answer comes')
    assert.equal(readResponses(talk.text, [], false)[1]?.status, 404)
    talk.close()
  } finally {
    await closed.stop()
  }
})

test('what the client is told about its connection is true', async () => {
  const ended = await Talk.open(edge.port('public'))
  ended.send(get('/told-close', 'Connection: close\r\n'))
  await ended.untilEnd('the edge closes')
  assert.match(fieldValue(first(ended) as Response, 'connection') ?? '', /close/)
  ended.close()
  const kept = await Talk.open(edge.port('public'))
  kept.send('GET /told-keep HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n')
  await kept.until(whole(1), 'the answer comes')
  const said = fieldValue(first(kept) as Response, 'connection') ?? ''
  if (/keep-alive/i.test(said)) {
    kept.send('GET /told-keep-2 HTTP/1.0\r\nHost: a.test\r\n\r\n')
    await kept.until(whole(2), 'the second answer comes')
  }
  await kept.untilEnd('then the edge closes', 4000).catch(() => assert.fail('left open without keep-alive'))
  kept.close()
})

test('an answer has a Date, also when the endpoint sent none', async () => {
  const talk = await Talk.open(edge.port('public'))
  talk.send(get('/dated'))
  await talk.until(whole(1), 'the answer comes')
  assert.match(fieldValue(first(talk) as Response, 'date') ?? '', /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/)
  talk.close()
})
