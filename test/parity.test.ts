/** Holds docs, tables and code together: what is named in one place exists in the other. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { REASON_CODES, REASONS } from '../src/base/errors.ts'
import { POLICY_NAMES } from '../src/config/policies.schema.ts'
import { POLICY_ORDER } from '../src/policies/registry.ts'
import { ROOT, readSources } from './setup/source-files.ts'

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')
const manifest = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

/** Pages written by hand; those under docs/reference come from the code. */
const PAGES = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].sort()

test('every reason code is used by the code, outside its table', () => {
  const code = readSources('src')
    .filter((file) => file.path !== 'src/base/errors.ts' && !file.path.endsWith('.test.ts'))
    .map((file) => file.text)
    .join('\n')
  assert.deepEqual(
    REASON_CODES.filter((reason) => !code.includes(`'${reason}'`)),
    [],
  )
})

test('the page of reason codes has each code with its status, and no other', () => {
  const rows = [...read('docs/reference/reason-codes.md').matchAll(/^\| `([a-z0-9-]+)` \| (\d{3}|closed) \|/gm)]
  const written = Object.fromEntries(rows.map(([, code, status]) => [code, status]))
  const wanted = Object.fromEntries(
    REASON_CODES.map((code) => [code, REASONS[code].status === 0 ? 'closed' : String(REASONS[code].status)]),
  )
  assert.deepEqual(written, wanted)
})

test('every local reply is made with a code of the table', () => {
  const words = readSources('src').flatMap((file) =>
    [...file.text.matchAll(/new LocalReply\(\s*'([^']+)'/g)].map((match) => match[1] as string),
  )
  assert.deepEqual(
    words.filter((word) => !Object.hasOwn(REASONS, word)),
    [],
  )
})

test('every dependency has its line with a reason, and no line is left over', () => {
  const rows = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \| (.+?) \| (.+?) \| (.+?) \|$/gm)]
  const named = rows.map((row) => row[1] as string).sort()
  assert.deepEqual(named, Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).sort())
  for (const row of rows) assert.ok((row[2] as string).length > 10, `a reason for ${row[1]}`)
})

test('dependencies are pinned to one version each', () => {
  const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
    ([, version]) => !/^\d+\.\d+\.\d+$/.test(version),
  )
  assert.deepEqual(loose, [])
})

test('every example is named in the README or a page', () => {
  const text = PAGES.map(read).join('\n')
  const examples = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.yaml'),
  )
  assert.ok(examples.length > 0)
  assert.deepEqual(
    examples.filter((name) => !text.includes(`examples/${name}`)),
    [],
  )
})

test('links between pages lead somewhere', () => {
  const dead = PAGES.flatMap((page) =>
    [...read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1] as string)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(normalize(join(ROOT, dirname(page), target))))
      .map((target) => `${page} -> ${target}`),
  )
  assert.deepEqual(dead, [])
})

test('source files that pages name exist', () => {
  const dead = PAGES.filter((page) => !page.startsWith('docs/reference/')).flatMap((page) =>
    [
      ...read(page).matchAll(
        /`((?:src|test|bench|bin|examples|docs|\.ci|base|schema|http|core|listener|upstream|policies|telemetry|proxy|config|server)\/[\w./-]*)`/g,
      ),
    ]
      .map((match) => match[1] as string)
      .filter((path) => !existsSync(join(ROOT, path)) && !existsSync(join(ROOT, 'src', path)))
      .map((path) => `${page}: ${path}`),
  )
  assert.deepEqual(dead, [])
})

test('npm scripts that pages name exist', () => {
  const wanted = PAGES.flatMap((page) =>
    [...read(page).matchAll(/npm run ([\w:-]+)/g)].map((match) => match[1] as string),
  )
  assert.deepEqual(
    [...new Set([...wanted, 'start', 'test'])].filter((name) => !(name in manifest.scripts)),
    [],
  )
})

test('commands of `sallyport` that pages show exist', () => {
  const { stdout } = spawnSync(join(ROOT, 'bin/sallyport'), ['--help'], { encoding: 'utf8' })
  const offered = [...stdout.matchAll(/^ {2}sallyport ([a-z]+)/gm)].map((match) => match[1] as string)
  assert.ok(offered.includes('run') && offered.includes('check'))
  const shown = PAGES.flatMap((page) =>
    [...read(page).matchAll(/bin\/sallyport ([a-z]+)/g)].map((match) => match[1] as string),
  )
  assert.deepEqual(
    [...new Set(shown)].filter((name) => !offered.includes(name)),
    [],
  )
})

test('the files that every repository has are here', () => {
  for (const path of [
    'LICENSE',
    'README.md',
    'SECURITY.md',
    'CONTRIBUTING.md',
    'CHANGELOG.md',
    '.ci/run',
    'test/run.sh',
  ]) {
    assert.ok(existsSync(join(ROOT, path)), path)
  }
  assert.match(read('LICENSE'), /Apache License\s+Version 2\.0, January 2004/)
  assert.match(read('CHANGELOG.md'), /^## \[Unreleased\]$/m)
})

test('every decision is listed, numbered without a gap, and says why', () => {
  const pages = readdirSync(join(ROOT, 'docs/adr'))
    .filter((name) => /^\d{4}-/.test(name))
    .sort()
  const index = read('docs/adr/README.md')
  for (const [i, name] of pages.entries()) {
    assert.ok(name.startsWith(String(i + 1).padStart(4, '0')), name)
    assert.ok(index.includes(`(${name})`), `${name} is listed`)
    for (const part of ['**Decided.**', '**Why.**', '**Costs.**'])
      assert.ok(read(`docs/adr/${name}`).includes(part), `${name}: ${part}`)
  }
})

test('the schema knows the policies of the registry, in the order in which they run', () => {
  assert.deepEqual(POLICY_NAMES, [...POLICY_ORDER])
})
