/**
 * Plays the suite against any proxy that already runs, for comparison:
 *
 *   node test/conformance/run.ts --port 8080 --backend-port 9100 [--only REGEX] [--strict]
 *
 * It must send every path to the backend port (this script listens there) and deny /admin and all below.
 * --strict also asks for our own statuses and problem documents; limits and trust cases need it and are left out without.
 */
import { parseArgs } from 'node:util'
import { requestGroups } from './cases/all.ts'
import { responseCases } from './cases/responses.ts'
import { RecordingBackend } from './harness/backend.ts'
import { judgeRequest, type Subject } from './harness/judge.ts'
import { judgeResponse } from './harness/judge-response.ts'

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    'backend-port': { type: 'string' },
    only: { type: 'string', default: '.' },
    strict: { type: 'boolean', default: false },
  },
})
const backend = new RecordingBackend()
await backend.listen(Number(options['backend-port']))
const subject: Subject = { port: () => Number(options.port), backend, strict: options.strict }
const wanted = new RegExp(options.only)
let passed = 0
let failed = 0

async function group(name: string, plays: readonly (readonly [string, () => Promise<string | null>])[]): Promise<void> {
  const before = passed
  const chosen = plays.filter(([id]) => wanted.test(id))
  for (const [id, play] of chosen) {
    const problem = await play()
    if (problem === null) passed++
    else {
      failed++
      console.log(`FAIL ${id}: ${problem}`)
    }
  }
  if (chosen.length > 0) console.log(`${name}: ${passed - before}/${chosen.length}`)
}

for (const [name, cases] of Object.entries(requestGroups)) {
  const playable = cases.filter((testCase) => testCase.listener === 'public')
  await group(
    name,
    playable.map((testCase) => [testCase.id, () => judgeRequest(subject, testCase)] as const),
  )
}
await group(
  'responses',
  responseCases.map((testCase) => [testCase.id, () => judgeResponse(subject, testCase)] as const),
)
console.log(`${passed} passed, ${failed} failed`)
await backend.close()
process.exit(failed === 0 ? 0 : 1)
