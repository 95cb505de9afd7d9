import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ProcessLog } from './process-log.ts'

interface Log {
  readonly log: ProcessLog
  /** The clock the log reads, in ms since 1970. */
  nowMs: number
  lines(): Promise<Record<string, unknown>[]>
}

function createLog(t: TestContext): Log {
  const folder = mkdtempSync(join(tmpdir(), 'process-log-'))
  const fd = openSync(join(folder, 'log'), 'a')
  t.after(() => {
    closeSync(fd)
    rmSync(folder, { recursive: true })
  })
  const made: Log = {
    log: new ProcessLog({ fd, now: () => made.nowMs }),
    nowMs: 1767225600000,
    async lines() {
      await made.log.close()
      const text = readFileSync(join(folder, 'log'), 'latin1')
      const lines = text === '' ? [] : text.trimEnd().split('\n')
      for (const line of lines) assert.ok(line.length < 4096, `a line of ${line.length} bytes`)
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    },
  }
  return made
}

test('an event is one line with its fields', async (t) => {
  const made = createLog(t)
  made.log.info('started', 'Listening.', { listener: 'public', port: 8443, tls: true, zone: null })
  made.log.error('thread-died', 'A data thread died.')
  assert.deepEqual(await made.lines(), [
    {
      time: '2026-01-01T00:00:00.000Z',
      level: 'info',
      event: 'started',
      message: 'Listening.',
      listener: 'public',
      port: 8443,
      tls: true,
      zone: null,
    },
    { time: '2026-01-01T00:00:00.000Z', level: 'error', event: 'thread-died', message: 'A data thread died.' },
  ])
})

test('an event that storms gives ten lines a second and the count of the others', async (t) => {
  const made = createLog(t)
  for (let i = 0; i < 1000; i++) made.log.warn('endpoint-down', `failure ${i}`)
  made.log.warn('endpoint-up', 'not held back by another event')
  made.nowMs += 1000
  made.log.warn('endpoint-down', 'a second later')
  const lines = await made.lines()
  assert.deepEqual(
    lines.map((line) => line.leftOut ?? line.message),
    [...Array.from({ length: 10 }, (_, i) => `failure ${i}`), 'not held back by another event', 990, 'a second later'],
  )
})

test('the count of left out lines is told at the end of the process', async (t) => {
  const made = createLog(t)
  for (let i = 0; i < 13; i++) made.log.info('reload', 'again')
  const lines = await made.lines()
  assert.equal(lines.length, 11)
  assert.deepEqual([lines[10]?.event, lines[10]?.leftOut], ['reload', 3])
})

test('text of any size and content stays one line below the atomic size', async (t) => {
  const made = createLog(t)
  const hostile = '\n"\\\u0000\xff\u20ac'.repeat(5000)
  const fields = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`field${i}${hostile}`, hostile]))
  made.log.error('defect', hostile, fields)
  made.log.error('defect', 'x'.repeat(100_000), { not: Number.NaN })
  const lines = await made.lines()
  assert.equal(lines.length, 2)
  assert.equal(lines[1]?.not, null)
  assert.match(String(lines[1]?.message), /^x{500}\.\.\.$/)
})
