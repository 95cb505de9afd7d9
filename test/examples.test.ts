/** Every example is loaded, and the quickstart runs for real. */
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ROOT } from './setup/source-files.ts'
import { needs, toolPath } from './setup/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-examples-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const examples = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.yaml'),
)

test('every example passes `sallyport check` without a warning', needs('openssl'), () => {
  assert.ok(examples.length >= 6, `${examples.length} examples`)
  cpSync(join(ROOT, 'examples'), folder, { recursive: true })
  makeCertificates(join(folder, 'certs'), ['edge', 'shop', 'clients-ca'])
  for (const example of examples) {
    const args = ['check', '--strict', '-c', join(folder, example)]
    const { status, stdout, stderr } = spawnSync(join(ROOT, 'bin/sallyport'), args, { encoding: 'utf8' })
    assert.equal(status, 0, `${example}: ${stdout}${stderr}`)
  }
})

test('every example says at its top how to check it or what it is', () => {
  for (const example of examples) {
    const text = readFileSync(join(ROOT, 'examples', example), 'utf8')
    assert.match(text, /^# \S/, example)
  }
})

test('the quickstart runs: endpoints, edge, three lines to try, and an end without rest', needs('curl'), async () => {
  const [orders, people, edge] = [await freePort(), await freePort(), await freePort()]
  const config = readFileSync(join(ROOT, 'examples/quickstart/sallyport.yaml'), 'utf8')
    .replace(':8080', `:${edge}`)
    .replace(':9001', `:${orders}`)
    .replace(':9002', `:${people}`)
  const file = join(folder, 'quickstart-test.yaml')
  writeFileSync(file, config)
  const started = spawn(
    process.execPath,
    [join(ROOT, 'examples/quickstart/start.ts'), '--config', file, '--endpoints', `${orders},${people}`],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  const read = (data: Buffer): void => {
    output += data.toString()
  }
  started.stdout.on('data', read)
  started.stderr.on('data', read)
  const ended = once(started, 'exit')
  try {
    await until(
      () => output.includes('Ctrl-C ends everything') || started.exitCode !== null,
      () => output,
    )
    const commands = [...output.matchAll(/^ {2}(curl .*)$/gm)].map((match) => match[1] as string)
    assert.equal(commands.length, 3, output)
    const answers = commands.map((command) =>
      execFileSync(toolPath('curl'), ['-sS', '--max-time', '5', ...command.split(' ').slice(1)], { encoding: 'utf8' }),
    )
    assert.match(answers[0] as string, /^HTTP\/1\.1 200 [\s\S]*"endpoint": "orders"[\s\S]*"x-edge": "sallyport"/)
    assert.doesNotMatch(answers[0] as string, /x-powered-by: /i)
    assert.match(answers[1] as string, /^HTTP\/1\.1 405 [\s\S]*method-not-allowed/)
    assert.match(answers[2] as string, /^HTTP\/1\.1 400 [\s\S]*path-ambiguous/)
  } finally {
    started.kill('SIGTERM')
    await ended
  }
  assert.equal(started.exitCode, 0, output)
})

test('a taken port is said in words, not with a stack', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const args = [join(ROOT, 'examples/quickstart/start.ts'), '--endpoints', `${address.port},${address.port}`]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (data: Buffer) => {
    said += data.toString()
  })
  const [code] = await once(child, 'close')
  server.close()
  assert.equal(code, 1)
  assert.match(said, /^Port \d+, .* is taken\. .*\n$/)
})

function makeCertificates(to: string, names: readonly string[]): void {
  mkdirSync(to, { recursive: true })
  for (const name of names) {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
    const out = ['-keyout', join(to, `${name}-key.pem`), '-out', join(to, `${name}.pem`)]
    execFileSync(toolPath('openssl'), ['req', '-x509', ...key, '-days', '2', ...subject, ...out], { stdio: 'ignore' })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function until(ready: () => boolean, what: () => string, limitMs = 20_000): Promise<void> {
  const deadline = Date.now() + limitMs
  while (!ready()) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
