/** The benches run: short, and without a look at their figures, which mean nothing beside other tests. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { ROOT } from './setup/source-files.ts'
import { needs } from './setup/tools.ts'

const bench = async (name: string, ...args: string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'bench', name), ...args], {
    timeout: 120_000,
  })
  return stdout
}
const tools = needs('nginx', 'haproxy', 'wrk', 'h2load', 'openssl')
const twoProcessors = { skip: tools.skip !== false ? tools.skip : cpus().length < 2 && 'needs two processors' }

test('the cost bench measures the edge over plain and TLS', twoProcessors, async () => {
  const output = await bench(
    'cost.ts',
    '--subjects',
    'Sallyport',
    '--modes',
    'plain,tls',
    '--rounds',
    '1',
    '--seconds',
    '1',
    '--warm-up',
    '1',
  )
  const lines = [...output.matchAll(/^(plain|tls) +Sallyport +([\d.]+) us\/request/gm)]
  assert.equal(lines.length, 2, output)
  for (const line of lines) assert.ok(Number(line[2]) > 1, output)
})

test('the memory bench measures rest, idle connections and both directions', async () => {
  const output = await bench('memory.ts', '--connections', '200', '--bytes', String(16 << 20), '--settle', '100')
  assert.equal([...output.matchAll(/ MB \|$| kB \|$/gm)].length, 4, output)
})
