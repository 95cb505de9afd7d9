/** Plays every request case against a running edge. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { requestGroups } from './cases/all.ts'
import { RecordingBackend } from './harness/backend.ts'
import { suiteConfig } from './harness/config.ts'
import { Edge } from './harness/edge.ts'
import { judgeRequest, type Subject } from './harness/judge.ts'

const CASES = 906

const backend = new RecordingBackend()
let edge: Edge
let subject: Subject
let ran = 0

before(async () => {
  const port = await backend.listen()
  edge = await Edge.start(suiteConfig(port, port))
  subject = { port: (listener) => edge.port(listener), backend, strict: true }
})

after(async () => {
  await edge?.stop()
  await backend.close()
})

for (const [group, cases] of Object.entries(requestGroups)) {
  test(`a hostile client gets nowhere with ${group} (${cases.length} cases)`, async () => {
    const failed: string[] = []
    for (const testCase of cases) {
      const problem = await judgeRequest(subject, testCase)
      if (problem !== null) failed.push(`${testCase.id} (${testCase.rule}): ${problem}`)
      ran++
    }
    assert.deepEqual(failed, [])
  })
}

test('all request cases ran, and no two share a name', () => {
  const ids = Object.values(requestGroups).flatMap((cases) => cases.map((testCase) => testCase.id))
  assert.equal(new Set(ids).size, ids.length)
  assert.equal(ran, CASES, 'request cases')
})
