/** Broken, slow and hostile endpoints: what the client sees, what is repeated, what is never repeated. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { RetrySettings } from '../../src/upstream/shared/settings.ts'
import { type EdgeInProcess, story } from '../support/edge-in-process.ts'
import { readResponse, readResponses, statusOf } from '../support/second-reader.ts'
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts'

const HOST = 'Host: a.test\r\n'
const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\n${HOST}${fields}\r\n`
const post = (path: string, body: string): string =>
  `POST ${path} HTTP/1.1\r\n${HOST}Content-Length: ${body.length}\r\n\r\n${body}`
const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const codeOf = (wire: Wire): string | undefined => /"code":"([\w-]+)"/.exec(wire.text)?.[1]
const retry = (on: string[], attempts = 2, budget = 1): { upstream: { retry: RetrySettings } } => ({
  upstream: { retry: { attempts, on, budget } },
})
const ALL = ['connect', 'reset', 'timeout', '502', '503']

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Sends a request and waits for the edge's own answer with this code. */
async function refused(client: Wire, request: string, status: number, code: string): Promise<void> {
  client.send(request)
  await client.until(({ text }) => text.includes(`"code":"${code}"`), code)
  const answer = readResponse(client.text, request.slice(0, request.indexOf(' ')), client.ended)
  assert.ok(typeof answer !== 'string')
  assert.equal(statusOf(answer.startLine), status)
}

story('an endpoint that refuses connections: 502, for every method', {}, async (edge, _, open) => {
  edge.setPorts([await closedPort()])
  const client = await open()
  await refused(client, get('/a'), 502, 'upstream-connect-failed')
  const other = await open()
  await refused(other, post('/a', 'body'), 502, 'upstream-connect-failed')
  await edge.untilEnded(2)
})

story(
  'an endpoint that does not answer the connection: 504 after the connect time',
  { upstream: { connectTimeoutMs: 60 } },
  async (edge, _, open) => {
    const silent = await startSilent()
    try {
      edge.setPorts([silent.port])
      const client = await open()
      await refused(client, get('/a'), 504, 'upstream-connect-timeout')
    } finally {
      silent.stop()
    }
  },
)

/** A listener of another process that accepts nobody and whose queue is full: further SYNs are dropped. */
async function startSilent(): Promise<{ port: number; stop(): void }> {
  const code = `
    const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30_000)
    })`
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [text] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(text.toString())
  const fillers = Array.from({ length: 6 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  await eventually(
    () => fillers.some(({ connecting }) => !connecting),
    () => 'the queue fills',
  )
  return {
    port,
    stop: () => {
      for (const filler of fillers) filler.destroy()
      child.kill('SIGKILL')
    },
  }
}

story(
  'a reset before the head: 502, a POST is not repeated whatever the settings say',
  retry(ALL, 3),
  async (edge, endpoint, open) => {
    endpoint.onConnection = (wire) => {
      wire.socket.once('data', () => wire.reset())
    }
    const client = await open()
    await refused(client, post('/once', 'body'), 502, 'upstream-reset')
    const empty = await open()
    await refused(empty, `POST /once HTTP/1.1\r\n${HOST}\r\n`, 502, 'upstream-reset')
    const patch = await open()
    await refused(patch, `PATCH /once HTTP/1.1\r\n${HOST}\r\n`, 502, 'upstream-reset')
    assert.equal(endpoint.connections.length, 3)
    assert.deepEqual(
      edge.ended.map(({ attempts }) => attempts),
      [1, 1, 1],
    )
    assert.equal(edge.retries, 0)
  },
)

story('a FIN before the head: 502', {}, async (edge, endpoint, open) => {
  endpoint.onConnection = (wire) => {
    wire.socket.once('data', () => wire.end())
  }
  const client = await open()
  await refused(client, get('/a'), 502, 'upstream-reset')
  assert.equal(endpoint.connections.length, 1, 'not repeated: the connection was new')
  assert.equal(edge.ended[0]?.attempts, 1)
})

story(
  'half a head, then FIN or reset: 502 and no repeat, whatever the settings say',
  retry(ALL, 3),
  async (edge, endpoint, open) => {
    let end: 'end' | 'reset' = 'end'
    endpoint.onConnection = (wire) => {
      wire.socket.once('data', () => {
        wire.socket.write('HTTP/1.1 200 OK\r\nContent-Le', () => setImmediate(() => setImmediate(() => wire[end]())))
      })
    }
    const client = await open()
    await refused(client, get('/a'), 502, 'upstream-reset')
    end = 'reset'
    const other = await open()
    other.send(get('/a'))
    await other.untilText('"code":"upstream-reset"')
    await edge.untilEnded(2)
    for (const one of edge.ended) assert.ok(one.attempts <= 2)
  },
)

async function useOnce(client: Wire, endpoint: RawEndpoint): Promise<Wire> {
  client.send(get('/first'))
  const upstream = await endpoint.next()
  await upstream.untilText('\r\n\r\n')
  upstream.send(ok('first'))
  await client.until(({ text }) => text.endsWith('first'), 'the first answer')
  return upstream
}

story(
  'a GET on a reused connection that turns out closed is repeated once on a new one',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    const stale = await useOnce(client, endpoint)
    stale.socket.on('data', () => stale.reset())
    client.send(get('/second'))
    const fresh = await endpoint.next()
    await fresh.untilText('\r\n\r\n')
    assert.equal(fresh.text.split(' ')[1], '/second')
    fresh.send(ok('second'))
    await client.until(({ text }) => text.endsWith('second'), 'the second answer')
    assert.deepEqual(
      edge.ended.map(({ outcome }) => outcome),
      ['ok', 'ok'],
    )
  },
)

story('a repeat that finds the new connection broken too is not repeated again', {}, async (edge, endpoint, open) => {
  const client = await open()
  const stale = await useOnce(client, endpoint)
  endpoint.onConnection = (wire) => wire.socket.once('data', () => wire.reset())
  stale.socket.on('data', () => stale.reset())
  client.send(get('/second'))
  await client.untilText('"code":"upstream-reset"')
  assert.equal(endpoint.connections.length, 2)
  assert.equal(edge.ended.length, 2)
})

story('a POST on a reused connection that turns out closed is not repeated', {}, async (_, endpoint, open) => {
  for (const request of [post('/second', 'body'), `POST /second HTTP/1.1\r\n${HOST}\r\n`]) {
    const client = await open()
    const stale = await useOnce(client, endpoint)
    stale.socket.on('data', () => stale.reset())
    client.send(request)
    await client.untilText('"code":"upstream-reset"')
    client.close()
  }
  assert.equal(endpoint.connections.length, 2)
})

story(
  'a PUT whose body was sent on a stale connection is not repeated with half a body',
  {},
  async (_, endpoint, open) => {
    const client = await open()
    const stale = await useOnce(client, endpoint)
    stale.socket.on('data', () => {
      if (stale.text.endsWith('half')) stale.reset()
    })
    client.send(`PUT /second HTTP/1.1\r\n${HOST}Content-Length: 8\r\n\r\nhalf`)
    await client.untilText('"code":"upstream-reset"')
    assert.equal(endpoint.connections.length, 1)
  },
)

story('a PUT that waits with its body is repeated, head first, then the body', {}, async (edge, endpoint, open) => {
  const client = await open()
  const stale = await useOnce(client, endpoint)
  stale.socket.on('data', () => stale.reset())
  client.send(`PUT /second HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`)
  const fresh = await endpoint.next()
  client.send('4\r\nbody\r\n0\r\n\r\n')
  await fresh.untilText('0\r\n\r\n')
  assert.match(fresh.text, /^PUT \/second HTTP\/1.1\r\n[\s\S]*\r\n\r\n4\r\nbody\r\n0\r\n\r\n$/)
  fresh.send(ok('second'))
  await client.until(({ text }) => text.endsWith('second'), 'the second answer')
  assert.equal(edge.ended[1]?.bytesIn, 4)
})

story(
  'an idle connection that the endpoint closes is noticed before the next request',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    const stale = await useOnce(client, endpoint)
    stale.end()
    await stale.untilOver()
    client.send(post('/second', 'body'))
    const fresh = await endpoint.next()
    await fresh.untilText('body')
    fresh.send(ok('second'))
    await client.until(({ text }) => text.endsWith('second'), 'the second answer')
    assert.equal(edge.ended[1]?.attempts, 1)
  },
)

story('an answer to nothing on an idle connection reaches nobody', {}, async (edge, endpoint, open) => {
  const client = await open()
  const upstream = await useOnce(client, endpoint)
  upstream.send(ok('evil'))
  await upstream.untilOver('the edge closes that connection')
  client.send(get('/second'))
  const fresh = await endpoint.next()
  await fresh.untilText('\r\n\r\n')
  fresh.send(ok('second'))
  await client.until(({ text }) => text.endsWith('second'), 'the second answer')
  assert.doesNotMatch(client.text, /evil/)
  assert.equal(edge.ended.length, 2)
})

story('bytes behind a response end the connection and reach nobody', {}, async (edge, endpoint, open) => {
  const answers = [
    `${ok('fine')}${ok('evil')}`,
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n${ok('evil')}`,
    `HTTP/1.1 204 None\r\n\r\n${ok('evil')}`,
    `HTTP/1.1 304 Same\r\n\r\nevil`,
    `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nevil`,
  ]
  for (const answer of answers) {
    const client = await open()
    client.send(get('/a'))
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.send(answer)
    await upstream.untilOver('the edge closes that connection')
    client.send(get('/fixed'))
    await client.until(({ text }) => text.endsWith('fixed'), 'the next answer')
    assert.doesNotMatch(client.text, /evil/)
    assert.equal(readResponses(client.text, []).length, 2)
    client.close()
  }
  assert.equal(edge.ended.length, 2 * answers.length)
})

story('a HEAD answered with a body does not shift the next answer', {}, async (edge, endpoint, open) => {
  const client = await open()
  client.send(`HEAD /a HTTP/1.1\r\n${HOST}\r\n`)
  const upstream = await endpoint.next()
  await upstream.untilText('\r\n\r\n')
  upstream.send(ok('evil'))
  await upstream.untilOver()
  client.send(get('/fixed'))
  await client.until(({ text }) => text.endsWith('fixed'), 'the next answer')
  assert.doesNotMatch(client.text, /evil/)
  assert.equal(edge.ended.length, 2)
})

const TRUNCATED: readonly (readonly [name: string, version: string, answer: string])[] = [
  ['Content-Length', '1.1', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
  ['chunked', '1.1', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ['chunked, within a chunk', '1.1', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf'],
  ['chunked, before the last CRLF', '1.1', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n'],
  ['Content-Length to HTTP/1.0', '1.0', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
  ['chunked to HTTP/1.0', '1.0', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf'],
  ['malformed chunk', '1.1', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfX\r\n'],
  ['malformed chunk to HTTP/1.0', '1.0', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfX\r\n'],
]

story('a truncated response never looks whole', {}, async (edge, endpoint, open) => {
  let ran = 0
  for (const end of ['end', 'reset'] as const) {
    for (const [name, version, answer] of TRUNCATED) {
      const client = await open()
      client.send(`GET /a HTTP/${version}\r\n${HOST}\r\n`)
      const upstream = await endpoint.next()
      await upstream.untilText('\r\n\r\n')
      upstream.send(answer)
      await client.untilText('half')
      upstream[end]()
      await client.untilOver(name)
      // A reset, or a message that its framing shows to be incomplete.
      const complete = client.error === null && typeof readResponse(client.text, 'GET', client.ended) !== 'string'
      assert.equal(complete, false, `${name}, ${end}`)
      client.close()
      ran++
    }
  }
  assert.equal(ran, 16, 'truncated responses')
  assert.ok(edge.ended.every(({ outcome }) => /^upstream-re(set|sponse-invalid)$/.test(outcome)))
})

story('a close-delimited body that ends with a reset never looks whole', {}, async (edge, endpoint, open) => {
  for (const version of ['1.0', '1.1']) {
    const client = await open()
    client.send(`GET /a HTTP/${version}\r\n${HOST}\r\n`)
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.send('HTTP/1.1 200 OK\r\n\r\nhalf')
    await client.untilText('half')
    upstream.reset()
    await client.untilOver()
    const complete = client.error === null && typeof readResponse(client.text, 'GET', client.ended) !== 'string'
    assert.equal(complete, false, version)
  }
  assert.deepEqual(
    edge.ended.map(({ outcome }) => outcome),
    ['upstream-reset', 'upstream-reset'],
  )
})

const INVALID: readonly string[] = [
  'HTTP/2 200 OK\r\n\r\n',
  'HTTP/1.1 20 OK\r\n\r\n',
  'HTTP/1.1 099 OK\r\n\r\n',
  'HTTP/1.1  200 OK\r\n\r\n',
  'ICY 200 OK\r\n\r\n',
  'HTTP/1.1 200 OK\n\n',
  'HTTP/1.1 200 O\x00K\r\n\r\n',
  'HTTP/1.1 200 OK\r\nA : b\r\n\r\n',
  'HTTP/1.1 200 OK\r\n A: b\r\n\r\n',
  'HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n',
  'HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na',
  'HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na',
  'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'HTTP/1.1 204 None\r\nContent-Length: 4\r\n\r\nbody',
  'HTTP/1.1 100 Continue\r\nContent-Length: 4\r\n\r\nbody',
  `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(501)}\r\n`,
  `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(70_000)}\r\n\r\n`,
  `HTTP/1.1 200 ${'b'.repeat(70_000)}`,
  `${'HTTP/1.1 103 Hints\r\n\r\n'.repeat(17)}HTTP/1.1 200 OK\r\n\r\n`,
]

story(
  'a malformed, oversized or endless head is answered 502, and its connection not used again',
  retry(ALL, 3),
  async (edge, endpoint, open) => {
    for (const answer of INVALID) {
      const client = await open()
      client.send(get('/a'))
      const upstream = await endpoint.next()
      await upstream.untilText('\r\n\r\n')
      upstream.send(answer)
      await client.untilText('"code":"upstream-response-invalid"')
      await upstream.untilOver()
      assert.equal(statusOf(readResponses(client.text, []).at(-1)?.startLine ?? ''), 502, JSON.stringify(answer))
      client.close()
    }
    assert.equal(INVALID.length, 24, 'malformed responses')
    assert.ok(edge.ended.every(({ outcome, attempts }) => outcome === 'upstream-response-invalid' && attempts === 1))
  },
)

story(
  'an endpoint that answers too late: 504, and its late answer reaches nobody',
  { upstream: { responseTimeoutMs: 60 } },
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(get('/late'))
    const upstream = await endpoint.next()
    await client.untilText('"code":"upstream-response-timeout"')
    await upstream.untilOver()
    upstream.send(ok('evil'))
    client.send(get('/fixed'))
    await client.until(({ text }) => text.endsWith('fixed'), 'the next answer')
    assert.doesNotMatch(client.text, /evil/)
    assert.equal(edge.ended[0]?.status, 504)
  },
)

story(
  'an endpoint that stops in the middle of its answer is cut after the idle time',
  { upstream: { idleTimeoutMs: 60 } },
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(get('/stops'))
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    await client.untilOver()
    assert.ok(client.text.endsWith('half'))
    await upstream.untilOver()
    assert.deepEqual([edge.ended[0]?.outcome, edge.ended[0]?.status], ['upstream-body-timeout', 200])
  },
)

story(
  'an idle connection to the endpoint is given up after the idle time',
  { upstream: { idleTimeoutMs: 60 } },
  async (_, endpoint, open) => {
    const client = await open()
    const upstream = await useOnce(client, endpoint)
    await upstream.untilOver()
  },
)

story(
  'refused connections are repeated elsewhere by the settings, for every method and body',
  retry(['connect'], 3),
  async (edge, endpoint, open) => {
    edge.setPorts([await closedPort(), await closedPort(), endpoint.port])
    endpoint.answerAll(() => ok('fine'))
    for (let i = 0; i < 6; i++) {
      const client = await open()
      client.send(i % 2 === 0 ? get('/a') : post('/b', 'the body'))
      await client.until(({ text }) => text.endsWith('fine'), 'the answer')
      client.close()
    }
    assert.ok(edge.retries > 0)
    const posts = endpoint.connections.map(({ text }) => text).join('')
    assert.equal(posts.split('\r\n\r\nthe body').length, 4, 'each POST arrives once and whole')
    assert.equal(edge.ended.filter(({ bytesIn }) => bytesIn === 8).length, 3)
  },
)

story(
  'a status is repeated by the settings for idempotent requests only, the first answer thrown away',
  retry(['503'], 2),
  async (edge, endpoint, open) => {
    const other = await RawEndpoint.start()
    try {
      edge.setPorts([endpoint.port, other.port])
      let asked = 0
      const first = (): string => {
        asked++
        return asked % 2 === 1 ? 'HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nevil' : ok('fine')
      }
      endpoint.answerAll(first)
      other.answerAll(first)
      const client = await open()
      client.send(get('/a'))
      await client.until(({ text }) => text.endsWith('fine'), 'the answer')
      assert.equal(asked, 2)
      client.send(post('/b', 'body'))
      await client.until(({ text }) => text.endsWith('evil'), "the endpoint's own 503")
      assert.equal(asked, 3)
      assert.deepEqual(
        edge.ended.map(({ attempts, status }) => [attempts, status]),
        [
          [2, 200],
          [1, 503],
        ],
      )
      client.close()
      await edge.untilEnded(2)
    } finally {
      other.close()
    }
  },
)

story("the last attempt's own answer is passed on", retry(['503'], 2), async (edge, endpoint, open) => {
  endpoint.answerAll(() => 'HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nlast')
  const client = await open()
  client.send(get('/a'))
  await client.until(({ text }) => text.endsWith('last'), 'the answer')
  assert.equal(edge.ended[0]?.attempts, 2)
})

story(
  'the budget stops repeats: a failing upstream is not asked twice by all',
  retry(['reset'], 2, 0.2),
  async (edge, endpoint, open) => {
    endpoint.onConnection = (wire) => {
      wire.socket.once('data', () => wire.reset())
    }
    for (let i = 0; i < 20; i++) {
      const client = await open()
      await refused(client, get('/a'), 502, 'upstream-reset')
      client.close()
    }
    assert.equal(edge.retries, 4)
    assert.equal(endpoint.connections.length, 24)
  },
)

story(
  'a reset is repeated by the settings only while no body byte was sent',
  retry(['reset'], 2),
  async (edge, endpoint, open) => {
    endpoint.onConnection = (wire) => {
      wire.socket.on('data', () => {
        if (wire.text.endsWith('half')) wire.reset()
      })
    }
    const client = await open()
    await refused(client, `PUT /a HTTP/1.1\r\n${HOST}Content-Length: 8\r\n\r\nhalf`, 502, 'upstream-reset')
    assert.equal(endpoint.connections.length, 1)
    assert.equal(edge.retries, 0)
  },
)

story(
  'an endpoint that is gone from the list finishes what it runs, and keeps no connection',
  {},
  async (edge, endpoint, open) => {
    const client = await open()
    client.send(get('/a'))
    const upstream = await endpoint.next()
    await upstream.untilText('\r\n\r\n')
    edge.setPorts([await closedPort()])
    upstream.send(ok('last'))
    await client.until(({ text }) => text.endsWith('last'), 'the answer')
    await upstream.untilOver('its connection closes')
  },
)

story('no endpoint: 503 with Retry-After', {}, async (edge, _, open) => {
  edge.setPorts([])
  const client = await open()
  await refused(client, get('/a'), 503, 'upstream-unavailable')
  assert.match(client.text, /\r\nRetry-After: 1\r\n/)
  assert.equal(codeOf(client), 'upstream-unavailable')
  await refusedAgain(edge, client)
})

async function refusedAgain(edge: EdgeInProcess, client: Wire): Promise<void> {
  client.send(get('/fixed'))
  await client.until(({ text }) => text.endsWith('fixed'), 'the connection goes on')
  await eventually(
    () => edge.ended.length === 2,
    () => 'two exchanges',
  )
}

story(
  'an endpoint that answers before the request is whole and closes: the client gets the answer',
  {},
  async (edge, endpoint, open) => {
    endpoint.onConnection = (wire) => {
      wire.keep = false
      wire.socket.once('data', () =>
        wire.send('HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno').end(),
      )
    }
    for (let i = 0; i < 20; i++) {
      const client = await open()
      client.send(`POST /early HTTP/1.1\r\n${HOST}Content-Length: 3000000\r\n\r\n`).send(Buffer.alloc(3_000_000))
      await client.untilOver()
      assert.equal(statusOf(readResponses(client.text, [])[0]?.startLine ?? ''), 403)
      client.close()
    }
    assert.ok(edge.ended.every(({ outcome }) => outcome === 'ok'))
  },
)
