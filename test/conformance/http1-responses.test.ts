/** Plays every response case against a running edge. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { responseCases } from './cases/responses.ts'
import { RecordingBackend } from './harness/backend.ts'
import { suiteConfig } from './harness/config.ts'
import { Edge } from './harness/edge.ts'
import type { Subject } from './harness/judge.ts'
import { judgeResponse } from './harness/judge-response.ts'

const CASES = 173

const backend = new RecordingBackend()
let edge: Edge
let subject: Subject

before(async () => {
  const port = await backend.listen()
  edge = await Edge.start(suiteConfig(port, port))
  subject = { port: (listener) => edge.port(listener), backend, strict: true }
})

after(async () => {
  await edge?.stop()
  await backend.close()
})

test('a broken or hostile endpoint cannot hurt the client or the next request', async () => {
  const failed: string[] = []
  for (const testCase of responseCases) {
    const problem = await judgeResponse(subject, testCase)
    if (problem !== null) failed.push(`${testCase.id} (${testCase.rule}): ${problem}`)
  }
  assert.deepEqual(failed, [])
})

test('all response cases are there, and no two share a name', () => {
  assert.equal(new Set(responseCases.map((testCase) => testCase.id)).size, responseCases.length)
  assert.equal(responseCases.length, CASES, 'response cases')
})
