import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What a load generator saw. */
export interface LoadResult {
  /** Answered well. */
  readonly requests: number
  /** Anything else: other statuses, errors, timeouts. */
  readonly failed: number
  readonly perSecond: number
  /** What the generator said about failures; '' when there were none. */
  readonly detail: string
}

export interface LoadPlan {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  /** For taskset. */
  readonly cpus: string
}

/** About 500 bytes of head, as browsers and API clients send. */
const HEADERS = [
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36',
  'Accept: application/json, text/plain, */*',
  'Accept-Language: en-GB,en;q=0.8,de;q=0.6',
  `Authorization: Bearer ${'token-'.repeat(20)}`,
  'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark',
].flatMap((line) => ['-H', line])

/** Keep-alive GETs over plain HTTP with wrk. */
export async function loadPlain({ url, connections, seconds, cpus }: LoadPlan): Promise<LoadResult> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, ...HEADERS, url]
  const { stdout } = await run('taskset', ['-c', cpus, 'wrk', ...args])
  const all = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0)
  const other = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0)
  const errors = [...(/Socket errors: (.*)/.exec(stdout)?.[1] ?? '').matchAll(/\d+/g)]
  const broken = errors.reduce((sum, match) => sum + Number(match[0]), 0)
  const detail = [...stdout.matchAll(/^ *(Non-2xx.*|Socket errors.*)$/gm)].map((match) => match[1]).join('; ')
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? 0)
  return { requests: all - other, failed: other + broken, perSecond, detail }
}

/** Keep-alive GETs over TLS and HTTP/1.1 with h2load, which spends less on TLS than wrk. */
export async function loadTls({ url, connections, seconds, cpus }: LoadPlan): Promise<LoadResult> {
  const args = ['--h1', '-t1', `-c${connections}`, `-D${seconds}`, ...HEADERS, url]
  const { stdout } = await run('taskset', ['-c', cpus, 'h2load', ...args])
  const requests = Number(/(\d+) 2xx/.exec(stdout)?.[1] ?? 0)
  const counts = /(\d+) failed, (\d+) errored, (\d+) timeout/.exec(stdout)?.slice(1) ?? []
  const failed = counts.reduce((sum, count) => sum + Number(count), 0)
  const detail = failed === 0 ? '' : (/^requests: .*$/m.exec(stdout)?.[0] ?? '')
  const perSecond = Number(/finished in [\d.]+\w+, ([\d.]+) req\/s/.exec(stdout)?.[1] ?? 0)
  return { requests, failed, perSecond, detail }
}
