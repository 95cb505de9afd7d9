import { REASONS, type ReasonCode } from '../../../src/base/errors.ts'
import type { RecordingBackend } from './backend.ts'
import { exchange, type Received } from './client.ts'
import { couldReach } from './path-readings.ts'
import type { ListenerName, RequestCase } from './request-case.ts'
import { fieldValue, type Request, type Response, readResponses } from './wire.ts'

/** A proxy under test. */
export interface Subject {
  /** Port of each listener; a stand-in may have one port for all. */
  readonly port: (listener: ListenerName) => number
  readonly backend: RecordingBackend
  /** True for our own edge: its refusals must have the right status and body. */
  readonly strict: boolean
}

/** Plays one case; null when it holds, else what was wrong. One case at a time: the backend's record is shared. */
export async function judgeRequest(subject: Subject, testCase: RequestCase): Promise<string | null> {
  const { backend } = subject
  const token = `t-${testCase.id}`
  const pieces = testCase.pieces.map((piece) => piece.replaceAll('{T}', token))
  const method = /^\w+/.exec(pieces[0] as string)?.[0] ?? 'GET'
  const methods = [method === 'HEAD' ? 'HEAD' : 'GET']
  const wanted = Math.max(1, testCase.expect === 'sequence' ? testCase.count[1] : 1)
  backend.clear()
  const received = await exchange(subject.port(testCase.listener), pieces, {
    done: (text) => readResponses(text, methods, false).filter((response) => response.complete).length >= wanted,
    quietMs: testCase.expect === 'sequence' ? 60 : 25,
    limitMs: 2000,
    halfClose: testCase.expect === 'unfinished',
  })
  await settle(subject, testCase.listener)
  const seen = backend.requests.filter((request) => !request.target.includes('settle-'))
  const dirty = seen.find((request) => request.problems.length > 0)
  if (dirty !== undefined) return `the endpoint received a ${dirty.problems.join(', ')}`
  const failed = seen.map(testCase.check).find((problem) => problem !== null)
  if (failed !== undefined && failed !== null) return failed
  const responses = readResponses(received.text, methods, received.closed)
  const fault = responses.find((response) => response.problems.length > 0)
  if (fault !== undefined) return `the client received a ${fault.problems.join(', ')}`
  return verdict(testCase, subject.strict, seen, responses, received)
}

function verdict(
  testCase: RequestCase,
  strict: boolean,
  seen: readonly Request[],
  responses: readonly Response[],
  received: Received,
): string | null {
  const status = responses[0]?.status
  switch (testCase.expect) {
    case 'unreachable': {
      const reached = seen.find((request) => couldReach(request.target, 'admin'))
      return reached === undefined ? null : `the endpoint received ${reached.target}`
    }
    case 'unfinished':
      return seen.length === 0 ? null : 'the endpoint took it for whole'
    case 'body-refused':
      if (seen.length > 0) return `the endpoint took it for whole: ${JSON.stringify(seen[0]?.body)}`
      if (status !== undefined && status < 300) return `answered ${status}`
      return strict ? refusalFault(testCase, responses[0]) : null
    case 'refused':
      return refusal(testCase, strict, seen, responses[0], received)
    case 'forwarded':
      return forwarding(seen, responses)
    case 'either':
      return seen.length === 0 ? refusal(testCase, strict, seen, responses[0], received) : forwarding(seen, responses)
    case 'sequence': {
      const targets = seen.map((request) => request.target)
      const [least, most] = testCase.count
      const { never } = testCase
      if (never !== null && targets.some((target) => target.includes(never)))
        return `smuggled: the endpoint got ${targets}`
      if (seen.length < least || seen.length > most) return `the endpoint got ${seen.length} requests: ${targets}`
      if (responses.length < seen.length) return `${responses.length} responses to ${seen.length} requests`
      return null
    }
  }
}

function refusal(
  testCase: RequestCase,
  strict: boolean,
  seen: readonly Request[],
  response: Response | undefined,
  received: Received,
): string | null {
  if (seen.length > 0) return `forwarded as ${seen[0]?.startLine.slice(0, 80)}`
  if (response === undefined) return received.closed ? null : 'neither answered nor closed'
  const { status } = response
  if (!((status >= 400 && status < 500) || status === 501 || status === 505)) return `answered ${status}`
  return strict ? refusalFault(testCase, response) : null
}

/** Our refusals are problem details with a reason code whose row has this status. */
function refusalFault(testCase: RequestCase, response: Response | undefined): string | null {
  if (response === undefined) return null
  const { statuses } = testCase
  if (statuses.length > 0 && !statuses.includes(response.status))
    return `refused with ${response.status}, not ${statuses}`
  if (fieldValue(response, 'content-type') !== 'application/problem+json') return 'the refusal is no problem document'
  if (response.body === '') return null
  const { code, status } = JSON.parse(response.body) as { code: string; status: number }
  if (!Object.hasOwn(REASONS, code)) return `unknown reason code ${code}`
  if (status !== response.status) return `status ${status} in the body of a ${response.status}`
  const expected: number = REASONS[code as ReasonCode].status
  return expected === status ? null : `${code} answered with ${status}, its row says ${expected}`
}

function forwarding(seen: readonly Request[], responses: readonly Response[]): string | null {
  if (seen.length !== 1) return `the endpoint got ${seen.length} requests; answered ${responses[0]?.status}`
  if (responses[0]?.status !== 200) return `answered ${responses[0]?.status}`
  return responses[0].complete ? null : 'the answer is not whole'
}

let settled = 0

/** One more request, whole and harmless: when it is answered, what was on its way before has arrived. */
async function settle(subject: Subject, listener: ListenerName): Promise<void> {
  settled++
  await exchange(
    subject.port(listener),
    [`GET /settle-${settled} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`],
    {
      done: (text) => readResponses(text, ['GET'], false)[0]?.complete === true,
      quietMs: 0,
      limitMs: 2000,
    },
  )
}
