import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { send } from './backend.ts'
import { exchange } from './client.ts'
import type { Subject } from './judge.ts'
import type { ResponseCase } from './response-case.ts'
import { fieldValue, type Response, readResponses } from './wire.ts'

/** Plays one response case; null when it holds, else what was wrong. One case at a time: the script is shared. */
export async function judgeResponse(subject: Subject, testCase: ResponseCase): Promise<string | null> {
  const token = `r-${testCase.id}-end`
  const port = subject.port('public')
  subject.backend.script = { piece: token, run: (socket) => void play(socket, testCase) }
  const received = await exchange(port, [`${testCase.method} /${token} ${testCase.version}\r\nHost: a.test\r\n\r\n`], {
    done: (text) => readResponses(text, [testCase.method], false)[0]?.complete === true,
    quietMs: 30,
    limitMs: testCase.after === 'keep' && testCase.expect !== 'relayed' ? 1200 : 3000,
  })
  subject.backend.script = null
  const [response, ...more] = readResponses(received.text, [testCase.method], received.closed)
  const poison = await poisoned(port, testCase.id)
  if (poison !== null) return poison
  if (more.length > 0) return `the client got ${more.length + 1} responses`
  return verdict(testCase, subject.strict, response, received.closed)
}

function verdict(
  testCase: ResponseCase,
  strict: boolean,
  response: Response | undefined,
  closed: boolean,
): string | null {
  if (response?.problems.length) return `the client received a ${response.problems.join(', ')}`
  const refused = isRefusal(response, testCase)
  if (refused && response?.complete !== true && !closed) return 'the client is left waiting'
  if (testCase.expect === 'refused') {
    if (!refused) return `relayed as ${response?.status} ${JSON.stringify(response?.body.slice(0, 60))}`
    return strict ? refusalFault(response) : null
  }
  if (refused) return testCase.expect === 'either' ? null : `answered ${response?.status ?? 'nothing'}`
  if (response?.body !== testCase.body) return `body is ${JSON.stringify(response?.body.slice(0, 60))}`
  return testCase.check(response)
}

/** A gateway error made by the proxy, or a connection that ended before the message did. */
function isRefusal(response: Response | undefined, testCase: ResponseCase): boolean {
  if (response === undefined || !response.complete) return true
  const { status } = response
  const own = testCase.pieces.join('').includes(` ${status} `)
  return (status === 500 || status === 502 || status === 503 || status === 504) && !own
}

function refusalFault(response: Response | undefined): string | null {
  if (response === undefined || !response.complete) return null
  if (response.status !== 502) return `refused with ${response.status}, not 502`
  return fieldValue(response, 'content-type') === 'application/problem+json'
    ? null
    : 'the refusal is no problem document'
}

/** What was left over must not answer the next requests. */
async function poisoned(port: number, id: string): Promise<string | null> {
  for (let i = 0; i < 2; i++) {
    const token = `next-${id}-${i}`
    const after = await exchange(port, [`GET /${token} HTTP/1.1\r\nHost: a.test\r\n\r\n`], {
      done: (text) => readResponses(text, ['GET'], false)[0]?.complete === true,
      quietMs: 0,
      limitMs: 2000,
    })
    const [response] = readResponses(after.text, ['GET'], after.closed)
    if (response?.status !== 200 || !response.body.includes(token)) {
      return `the next request got ${response?.status} ${JSON.stringify(response?.body.slice(0, 60))}`
    }
  }
  return null
}

async function play(socket: Socket, testCase: ResponseCase): Promise<void> {
  for (const [i, piece] of testCase.pieces.entries()) {
    if (i > 0) await delay(2)
    send(socket, piece)
  }
  if (testCase.after === 'close') socket.end()
  if (testCase.after === 'reset') {
    // Lets what was written leave first: a reset discards what is still queued.
    await delay(20)
    socket.resetAndDestroy()
  }
}
