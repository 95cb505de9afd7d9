import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LATER_COMMANDS } from './main.ts'

const BIN = fileURLToPath(new URL('../../bin/sallyport', import.meta.url))
let folder = ''

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'))
})
after(() => rmSync(folder, { recursive: true, force: true }))

function sallyport(args: string[], input = '', command = BIN) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, input, encoding: 'utf8', timeout: 60_000 })
  return { status, stdout, stderr }
}

test('bad usage is exit status 2 with the usage on stderr and nothing on stdout', () => {
  const rows: [string[], RegExp][] = [
    [[], /^usage:/],
    [['bogus'], /^sallyport: unknown command "bogus"\n\nusage:/],
    [['constructor'], /^sallyport: unknown command "constructor"/],
    [['check', '--bogus'], /^sallyport check: Unknown option '--bogus'\n\nusage: sallyport check/],
    [['check', 'file.yaml'], /^sallyport check: Unexpected argument 'file.yaml'/],
    [['check', '-c'], /^sallyport check: /],
    [['run', '--threads', '0'], /^sallyport run: --threads must be auto or a number from 1 to 256/],
    [['run', '--threads', 'many'], /^sallyport run: --threads must be/],
    [['schema', 'x'], /^sallyport schema: Unexpected argument/],
  ]
  for (const [args, expected] of rows) {
    const { status, stdout, stderr } = sallyport(args)
    assert.match(stderr, expected, args.join(' '))
    assert.equal(stdout, '', args.join(' '))
    assert.equal(status, 2, args.join(' '))
  }
  assert.equal(rows.length, 9)
})

test('commands of later versions say so', () => {
  const { status, stderr } = sallyport(['keys', 'create'])
  assert.deepEqual([status, stderr], [2, 'sallyport keys: not available in this version\n'])
  assert.equal(LATER_COMMANDS.length, 12)
})

test('help, version and schema print to stdout', () => {
  assert.match(sallyport(['help']).stdout, /sallyport run \[-c FILE\] \[--threads N\]/)
  assert.match(sallyport(['check', '--help']).stdout, /^usage: sallyport check \[-c FILE\]/)
  assert.match(sallyport(['version']).stdout, /^sallyport \d+\.\d+\.\d+ \(Node \d+/)
  const schema = JSON.parse(sallyport(['schema']).stdout) as { $schema: string; required: string[] }
  assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema')
  assert.deepEqual(schema.required, ['listeners'])
})

test('check prints every problem with its place and exits 2, ok and 0 when there is none', () => {
  writeFileSync(join(folder, 'bad.yaml'), 'listeners: { a: { address: x } }\nroutes: [{ path: /a }]\nzebra: 1\n')
  const bad = sallyport(['check', '-c', 'bad.yaml'])
  assert.equal(bad.status, 2)
  assert.equal(bad.stdout, '')
  assert.deepEqual(
    bad.stderr.split('\n').map((line) => line.split(': ')[0]),
    ['bad.yaml:1:28 listeners.a.address', 'bad.yaml:2:10 routes[0]', 'bad.yaml:3:1 zebra', ''],
  )
  writeFileSync(join(folder, 'warned.yaml'), "listeners: { a: { address: '127.0.0.1:0' } }\n")
  const warned = sallyport(['check', '-c', 'warned.yaml'])
  assert.deepEqual([warned.status, warned.stdout], [0, 'ok\n'])
  assert.match(warned.stderr, /^warning: warned.yaml:1:14 listeners.a: there are no routes/)
  assert.equal(sallyport(['check', '-c', 'warned.yaml', '--strict']).status, 2)
  const gone = sallyport(['check', '-c', 'gone.yaml'])
  assert.deepEqual(
    [gone.status, gone.stderr.split(' (')[0]],
    [2, 'gone.yaml:1:1 file: cannot be read: there is no such file'],
  )
})

test('init writes a file that passes check, from answers or from flags, and keeps one that is there', () => {
  const asked = sallyport(['init'], '9000\nlocalhost:3000\napi.example.com/orders/{id}\n')
  assert.equal(asked.status, 0, asked.stderr)
  const file = join(folder, 'sallyport.yaml')
  const text = readFileSync(file, 'utf8')
  assert.match(text, /address: '127.0.0.1:9000'/)
  assert.match(text, /- 'http:\/\/localhost:3000'/)
  assert.match(text, /host: 'api.example.com'\n {4}path: '\/orders\/\{id\}'/)
  assert.deepEqual(sallyport(['check', '--strict']), { status: 0, stdout: 'ok\n', stderr: '' })

  const again = sallyport(['init', '--to', 'http://127.0.0.1:1'])
  assert.equal(again.status, 2)
  assert.match(again.stderr, /sallyport.yaml exists/)
  assert.equal(readFileSync(file, 'utf8'), text)

  const flags = ['--listen', '[::1]:0', '--to', 'https://127.0.0.1:1', '--host', '*.example.com', '--path', '/a/*']
  assert.equal(sallyport(['init', ...flags, '--force']).status, 0)
  assert.match(readFileSync(file, 'utf8'), /host: '\*\.example\.com'\n {4}path: '\/a\/\*'/)
  assert.equal(sallyport(['check', '--strict']).status, 0)
})

test('init asks again after a wrong answer, gives up after three, and writes nothing then', () => {
  const second = sallyport(['init', '-o', 'second.yaml'], 'nonsense\n127.0.0.1:0\n\n\n')
  assert.equal(second.status, 0, second.stderr)
  assert.match(second.stderr, /^listeners.public.address: expected an address/)
  const third = sallyport(['init', '-o', 'third.yaml'], 'a\nb\nc\nd\n')
  assert.equal(third.status, 2)
  assert.throws(() => readFileSync(join(folder, 'third.yaml')), /ENOENT/)
})

test('an answer cannot put keys of its own into the file', () => {
  const { status } = sallyport(['init', '-o', 'inject.yaml', '--to', "http://a:1'\nadmin: {}\nx: '"])
  assert.equal(status, 2)
  assert.throws(() => readFileSync(join(folder, 'inject.yaml')), /ENOENT/)
})

test('the script finds its checkout through symbolic links and passes the exit status on', () => {
  const link = join(folder, 'link')
  symlinkSync(BIN, link)
  assert.equal(sallyport(['version'], '', link).status, 0)
  assert.equal(sallyport(['bogus'], '', link).status, 2)
})
