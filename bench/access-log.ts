/**
 * CPU that telemetry costs per request, for a typical proxied exchange: its access log line, formatted and written to a file, its
 * metrics and its id. Bounded: 400,000 lines into a temporary file that is removed.
 *
 *     node bench/access-log.ts
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Exchange } from '../src/core/exchange.ts'
import { AccessLine } from '../src/telemetry/access-line.ts'
import { AccessLog } from '../src/telemetry/access-log.ts'
import { typicalExchange } from '../src/telemetry/exchange-fixture.ts'
import { MetricBook } from '../src/telemetry/metrics/book.ts'
import { Recorder } from '../src/telemetry/metrics/recorder.ts'
import { RequestIds } from '../src/telemetry/request-id.ts'

const ROUNDS = 8
const LINES = 50_000
/** Lines between two turns of the event loop, as they come from connections. */
const BURST = 10

const folder = mkdtempSync(join(tmpdir(), 'access-log-'))
const path = join(folder, 'access.jsonl')
const exchanges = Array.from({ length: 1000 }, (_, n) => typicalExchange(n))
const line = new AccessLine()
const log = new AccessLog({
  path,
  turn: null,
  onDropped: () => {},
  onProblem: (error) => {
    throw error
  },
  now: Date.now,
})

interface Cost {
  readonly loopNs: number
  readonly allNs: number
}

const book = new MetricBook()
book.setNames({ listeners: [], routes: ['orders'], upstreams: ['orders'], endpoints: [] })
const recorder = new Recorder(book.grant(1))
const ids = new RequestIds()

async function round(work: (exchange: Exchange) => void): Promise<Cost> {
  const before = process.cpuUsage()
  const loopBefore = process.threadCpuUsage()
  for (let n = 0; n < LINES; n++) {
    const exchange = exchanges[n % 1000] as Exchange
    exchange.startedMs = Date.now()
    exchange.durationMs = (n % 5000) / 97
    exchange.upstreamMs = (n % 4000) / 97
    work(exchange)
    if (n % BURST === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  const used = process.cpuUsage(before)
  const loop = process.threadCpuUsage(loopBefore)
  return { loopNs: ((loop.user + loop.system) * 1000) / LINES, allNs: ((used.user + used.system) * 1000) / LINES }
}

const empty: Cost[] = []
const format: Cost[] = []
const write: Cost[] = []
const count: Cost[] = []
const identify: Cost[] = []
let length = 0
for (let i = 0; i < ROUNDS; i++) {
  empty.push(await round(() => {}))
  const countLine = (exchange: Exchange): void => {
    length += line.format(exchange).length
  }
  format.push(await round(countLine))
  count.push(await round((exchange) => recorder.exchangeEnded(exchange, 0, 0)))
  const nameIt = (exchange: Exchange): void => {
    exchange.id = ids.next()
  }
  identify.push(await round(nameIt))
  write.push(await round((exchange) => log.write(exchange)))
}
await log.close()
const lines = ROUNDS * LINES
console.log(
  `${lines} lines, ${(statSync(path).size / lines).toFixed(0)} bytes each; CPU a line, median of ${ROUNDS} rounds:`,
)
rmSync(folder, { recursive: true })

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] as number

function show(name: string, costs: Cost[]): void {
  const loop = median(costs.map((c) => c.loopNs)) - median(empty.map((c) => c.loopNs))
  const all = median(costs.map((c) => c.allNs)) - median(empty.map((c) => c.allNs))
  console.log(`${name.padEnd(24)} ${loop.toFixed(0)} ns in the loop, ${all.toFixed(0)} ns in all threads`)
}

show('format', format)
show('format, batch and write', write)
show('count in metrics', count)
show('make an id', identify)
if (length === 0) process.exitCode = 1
