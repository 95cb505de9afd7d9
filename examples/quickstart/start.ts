/**
 * `npm start`: two small endpoints and the edge in front of them, until Ctrl-C.
 *
 * `--config FILE` and `--endpoints PORT,PORT` take other places than the quickstart's.
 */
import { spawn } from 'node:child_process'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { type Endpoint, startEndpoint } from './endpoint.ts'

const { values: options } = parseArgs({
  options: {
    config: { type: 'string', default: relative(process.cwd(), join(import.meta.dirname, 'sallyport.yaml')) },
    endpoints: { type: 'string', default: '9001,9002' },
  },
})

const lines = (url: string): string => `
Try, in another terminal:

  curl -i ${url}/orders/42
      The orders endpoint answers, and shows what it received.
  curl -i -X DELETE ${url}/people/7
      Only GET has a route here: 405, with its reason code as JSON.
  curl -i ${url}/orders/..%2fpeople/7
      A path that the edge and an endpoint could read differently: 400.

Ctrl-C ends everything.
`

const endpoints: Endpoint[] = []
const closeEndpoints = (): void => {
  for (const endpoint of endpoints) endpoint.close()
}
try {
  const [orders = '', people = ''] = options.endpoints.split(',')
  endpoints.push(await startEndpoint('orders', Number(orders)))
  endpoints.push(await startEndpoint('people', Number(people)))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}

// A process group of its own: Ctrl-C then reaches this process only, which passes it on once. A second signal would end
// the edge without finishing what runs.
const edge = spawn(join(import.meta.dirname, '..', '..', 'bin', 'sallyport'), ['run', '-c', options.config], {
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
})

let output = ''
const relay = (data: Buffer): void => {
  process.stdout.write(data)
  output += data.toString()
  if (!/^ready$/m.test(output)) return
  process.stdout.write(lines(/^listening public (\S+)$/m.exec(output)?.[1] ?? 'http://127.0.0.1:8080'))
  edge.stdout.off('data', relay)
  edge.stdout.pipe(process.stdout)
}
edge.stdout.on('data', relay)

edge.on('error', (error) => {
  console.error(`The edge did not start: ${error.message}`)
  process.exitCode = 1
  closeEndpoints()
})
edge.on('exit', (code) => {
  process.exitCode = code ?? 1
  closeEndpoints()
})

// SIGHUP is passed on too: it makes the edge read its file again.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => edge.kill(signal))
process.on('exit', () => edge.kill('SIGKILL'))
