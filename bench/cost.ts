/**
 * CPU per proxied request beside nginx and HAProxy, measured in one run.
 *
 *     node bench/cost.ts [--modes plain,tls,many] [--rounds 3] [--seconds 4] [--subjects Sallyport] [--json FILE] [--write]
 *     node bench/cost.ts --threads 2 [--write]     two data threads against one, and how connections spread
 *
 * Each proxy is pinned to CPU 0, the backend (nginx) and the load generator to CPU 1. Needs nginx, haproxy, wrk, h2load,
 * openssl and taskset, and two processors. Subjects take turns round by round, so that a slow minute hits all of them.
 * `--write` puts the tables into docs/performance.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findEdges } from '../src/server/control-client.ts'
import { type LoadResult, loadPlain, loadTls } from './lib/load.ts'
import { Program } from './lib/processes.ts'
import { circumstances, median, table, writePart } from './lib/report.ts'
import { allSubjects, prepare, type Subject, sallyport } from './lib/subjects.ts'

const { values: options } = parseArgs({
  options: {
    modes: { type: 'string', default: 'plain,tls,many' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    'warm-up': { type: 'string', default: '3' },
    subjects: { type: 'string', default: '' },
    threads: { type: 'string' },
    json: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)
/** Until the just-in-time compiler has settled and connections stand. */
const warmUp = Number(options['warm-up'])
const PATH = '/api/orders/42?expand=items&page=2'

const CONNECTIONS: Readonly<Record<string, number>> = { plain: 32, tls: 32, many: 1000 }

interface Sample {
  readonly us: number
  readonly perSecond: number
  readonly failed: number
  readonly rssBytes: number
  /** Open connections of each data thread under load; empty where nobody says. */
  readonly spread: readonly number[]
}

interface Row {
  readonly mode: string
  readonly name: string
  readonly samples: Sample[]
}

if (cpus().length < 2) throw new Error('one processor for the proxy and one for the rest are needed')
const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
const bench = await prepare(folder)
const wanted = options.subjects === '' ? [] : options.subjects.split(',')
const server = new Program(bench.backend.command, '1')
try {
  await server.listening(bench.backend.port)
  if (options.threads === undefined) await compareProxies()
  else await compareThreads(Number(options.threads))
} finally {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function compareProxies(): Promise<void> {
  const chosen = (await allSubjects(bench)).filter(({ name }) => wanted.length === 0 || wanted.includes(name))
  const rows: Row[] = []
  for (const mode of options.modes.split(',')) {
    const group = chosen.map(({ name }) => ({ mode, name, samples: [] as Sample[] }))
    for (let round = 0; round < rounds; round++) {
      for (const [i, subject] of chosen.entries()) group[i]?.samples.push(await measure(subject, mode, '0', '1'))
    }
    rows.push(...group)
    for (const row of group) console.log(sentence(row, group))
  }
  const command = `node bench/cost.ts --modes ${options.modes} --rounds ${rounds} --seconds ${seconds}`
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(rows, null, 1))
  if (options.write) writePart('cost', `${costTable(rows)}\n\n${circumstances(command)}`)
}

async function measure(subject: Subject, mode: string, proxyCpus: string, loadCpus: string): Promise<Sample> {
  const program = new Program(subject.command, proxyCpus)
  try {
    const tls = mode === 'tls'
    await program.listening(tls ? subject.tlsPort : subject.port)
    const url = tls ? `https://127.0.0.1:${subject.tlsPort}${PATH}` : `http://127.0.0.1:${subject.port}${PATH}`
    const load = (time: number): Promise<LoadResult> =>
      (tls ? loadTls : loadPlain)({ url, connections: CONNECTIONS[mode] ?? 32, seconds: time, cpus: loadCpus })
    await load(warmUp)
    const before = program.cpuUs()
    const running = load(seconds)
    const spread = subject.config === null ? [] : await spreadOf(subject.config)
    const result = await running
    if (result.failed > 0) console.log(`       ${subject.name}, ${mode}: ${result.detail}`)
    const us = (program.cpuUs() - before) / Math.max(1, result.requests)
    return { us, perSecond: result.perSecond, failed: result.failed, rssBytes: program.rssBytes(), spread }
  } finally {
    await program.stop()
  }
}

/** Asked in the middle of the load, when all connections stand. */
async function spreadOf(config: string): Promise<number[]> {
  await new Promise((resolve) => setTimeout(resolve, (seconds * 1000) / 2))
  const [edge] = await findEdges(config)
  return edge?.status.threads.map((thread) => thread.connections) ?? []
}

function cost(row: Row | undefined): number {
  return median(row?.samples.map(({ us }) => us) ?? [])
}

function times(row: Row, other: Row | undefined): string {
  return other === undefined ? '' : (cost(row) / cost(other)).toFixed(2)
}

function failures(row: Row): number {
  return row.samples.reduce((sum, { failed }) => sum + failed, 0)
}

function megabytes(row: Row): string {
  return (median(row.samples.map(({ rssBytes }) => rssBytes)) / 1e6).toFixed(0)
}

function rate(row: Row): string {
  return median(row.samples.map(({ perSecond }) => perSecond)).toFixed(0)
}

function sentence(row: Row, group: readonly Row[]): string {
  const ratios = ['nginx', 'HAProxy'].map((name) => {
    const other = group.find((candidate) => candidate.name === name)
    return other === undefined ? '' : `${times(row, other)} x ${name}`
  })
  const each = row.samples.map(({ us }) => us.toFixed(1)).join(' ')
  const figures = `${cost(row).toFixed(1).padStart(6)} us/request (${each})`
  const rest = `${rate(row)}/s  ${megabytes(row)} MB  ${failures(row)} failed`
  return [row.mode.padEnd(6), row.name.padEnd(10), figures, ...ratios, rest].join('  ')
}

function costTable(rows: readonly Row[]): string {
  return table([
    ['mode', 'proxy', 'CPU us/request', 'x nginx', 'x HAProxy', 'requests/s', 'resident MB', 'failed'],
    ...rows.map((row) => {
      const peer = (name: string): Row | undefined =>
        rows.find((other) => other.mode === row.mode && other.name === name)
      const ratios = [times(row, peer('nginx')), times(row, peer('HAProxy'))]
      return [row.mode, row.name, cost(row).toFixed(1), ...ratios, rate(row), megabytes(row), failures(row)]
    }),
  ])
}

/** Both on the same two processors, which the load shares: only CPU time is compared. */
async function compareThreads(threads: number): Promise<void> {
  const edges = [await sallyport(bench, 1), await sallyport(bench, threads)]
  const rows = ['plain', 'many'].flatMap((mode) =>
    edges.map((subject, i) => ({ mode, name: String(i === 0 ? 1 : threads), samples: [] as Sample[], subject })),
  )
  for (let round = 0; round < rounds; round++) {
    for (const row of rows) row.samples.push(await measure(row.subject, row.mode, '0,1', '0,1'))
  }
  const lines = rows.map((row) => {
    const single = rows.find(({ mode, name }) => mode === row.mode && name === '1')
    const spread = row.samples.map((sample) => sample.spread.join('/')).join(', ')
    return [row.mode, row.name, cost(row).toFixed(1), times(row, single), spread, failures(row)]
  })
  const head = [
    'mode',
    'data threads',
    'CPU us/request',
    'x one thread',
    'connections per thread, each round',
    'failed',
  ]
  const text = table([head, ...lines])
  console.log(text)
  if (!options.write) return
  writePart('threads', `${text}\n\n${circumstances(`node bench/cost.ts --threads ${threads} --rounds ${rounds}`)}`)
}
