/** Holds the layer table of the architecture against the imports of every file under src/. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT, readSources, type SourceFile, sourceFile } from './setup/source-files.ts'

/** Layer of each folder of src/. Imports between folders only go down. */
const LAYERS: Readonly<Record<string, number>> = {
  base: 0,
  schema: 1,
  http: 1,
  waf: 1,
  core: 2,
  listener: 3,
  upstream: 3,
  policies: 3,
  state: 3,
  telemetry: 3,
  proxy: 4,
  config: 5,
  server: 6,
  admin: 6,
  adapters: 6,
  cli: 7,
}
/** `src/cli.ts`, `src/index.ts` and other files right under src/. */
const TOP = 7
/** The folders from layer 6 up put the program together, so they may know each other. */
const SIDEWAYS = 6

/** Who may import what from outside: every other package or module of this list is for these files alone. */
const ONLY_IN: readonly (readonly [RegExp, RegExp, string])[] = [
  [/^zod(\/|$)/, /^src\/schema\/kit\.ts$/, 'the schema library stays behind schema/kit.ts'],
  [/^yaml(\/|$)/, /^src\/config\/load[\w-]*\.ts$/, 'files are read by config/load'],
  [/^(prom-client|@opentelemetry\/)/, /^src\/telemetry\//, 'figures leave through telemetry'],
  [
    /^(node:)?fs(\/promises)?$/,
    /^src\/(config\/load[\w-]*|cli|server\/.*|admin\/.*|adapters\/.*|cli\/.*|telemetry\/[\w-]*(?:log|writer)[\w-]*|listener\/[\w-]*)\.ts$/,
    'only config/load, server, admin, cli, adapters and the log writers touch the disk',
  ],
  [
    /^(node:)?(net|tls|http|https|http2|dgram|dns|dns\/promises|child_process|worker_threads|cluster)$/,
    /^src\/(?!base\/|schema\/|core\/|waf\/|policies\/)|^src\/base\/cidr\.ts$/,
    'base, schema, core, waf and policies know no socket and no process',
  ],
]

/** May read the environment. */
const READS_ENVIRONMENT = /^src\/(config\/load[\w-]*|cli|server\/.*|admin\/.*|adapters\/.*|cli\/.*)\.ts$/

/** Tables may be long: a row more makes nobody think more. */
const LONG_TABLES = new Set(['src/base/errors.ts'])
const MOST_LINES = 400

const all = readSources('src')
const sources = all.filter((file) => !isTest(file.path))

test('there is something to look at', () => {
  assert.ok(sources.length >= 10, `${sources.length} files under src/`)
})

test('every folder of src/ has its layer', () => {
  assert.deepEqual(
    [...new Set(all.map((file) => folderOf(file.path)))].filter((name) => name !== '' && !(name in LAYERS)),
    [],
  )
})

test('imports only go down, and folders of one layer do not know each other', () => {
  assert.deepEqual(sources.flatMap(layerFaults), [])
})

test('relative imports name a file that exists, with its ending, inside src/', () => {
  const faults = all.flatMap((file) =>
    file.imports
      .filter(({ path }) => path !== null)
      .filter(({ path }) => !/\.(ts|json)$/.test(path as string) || !existsSync(join(ROOT, path as string)))
      .map(({ specifier }) => `${file.path} imports ${specifier}`),
  )
  const outside = sources.flatMap((file) =>
    file.imports
      .filter(({ path }) => path !== null && !path.startsWith('src/'))
      .map((i) => `${file.path} imports ${i.specifier}`),
  )
  assert.deepEqual([...faults, ...outside], [])
})

test('schema files import only the kit and other schema files', () => {
  assert.deepEqual(sources.flatMap(schemaFaults), [])
})

test('packages, the disk and sockets are imported only where the architecture says', () => {
  assert.deepEqual(sources.flatMap(outsideFaults), [])
})

test('built-in modules are imported by their node: names', () => {
  const bare =
    /^(fs|net|tls|http|https|path|url|os|crypto|stream|events|util|worker_threads|child_process|dns|zlib)(\/|$)/
  assert.deepEqual(
    all.flatMap((file) =>
      file.imports.filter((i) => bare.test(i.specifier)).map((i) => `${file.path}: ${i.specifier}`),
    ),
    [],
  )
})

test('the environment is read only by config/load, server, admin, cli and adapters', () => {
  const readers = sources.filter(
    (file) => /\bprocess\s*\.\s*env\b/.test(file.code) && !READS_ENVIRONMENT.test(file.path),
  )
  assert.deepEqual(
    readers.map((file) => file.path),
    [],
  )
})

test('nothing is exported as default', () => {
  assert.deepEqual(
    all.filter((file) => /\bexport\s+default\b|\bas\s+default\b/.test(file.code)).map((file) => file.path),
    [],
  )
})

test('types can be erased: no enum, namespace, parameter property or decorator', () => {
  assert.deepEqual(all.flatMap(erasableFaults), [])
})

test('checks are not switched off in a file', () => {
  const off = /@ts-(ignore|nocheck|expect-error)|biome-ignore|eslint-disable/
  assert.deepEqual(
    all.filter((file) => off.test(file.text)).map((file) => file.path),
    [],
  )
})

test(`no file is longer than ${MOST_LINES} lines, tests and tables excepted`, () => {
  const long = sources.filter((file) => file.lines > MOST_LINES && !LONG_TABLES.has(file.path))
  assert.deepEqual(
    long.map((file) => `${file.path}: ${file.lines}`),
    [],
  )
})

test('no file reaches itself through its imports', () => {
  assert.deepEqual(cycles(sources), [])
})

test('this test sees a breach of each rule', () => {
  const file = (path: string, text: string): SourceFile => sourceFile(path, text)
  assert.equal(layerFaults(file('src/http/a.ts', "import { x } from '../proxy/b.ts'")).length, 1)
  assert.equal(layerFaults(file('src/listener/a.ts', "import type { x } from '../upstream/b.ts'")).length, 1)
  assert.equal(layerFaults(file('src/listener/a.ts', "export { x } from '../../src/policies/cors/b.ts'")).length, 1)
  assert.equal(layerFaults(file('src/proxy/a.ts', "const m = await import('../server/b.ts')")).length, 1)
  assert.equal(
    layerFaults(file('src/proxy/a.ts', "// import x from '../server/b.ts'\nconst t = `import '../server/b.ts'`"))
      .length,
    0,
  )
  assert.equal(layerFaults(file('src/server/a.ts', "import { x } from '../admin/b.ts'")).length, 0)
  assert.equal(schemaFaults(file('src/policies/x/x.schema.ts', "import { x } from '../../base/cidr.ts'")).length, 1)
  assert.equal(schemaFaults(file('src/policies/x/x.schema.ts', "import { x } from '../../schema/kit.ts'")).length, 0)
  assert.equal(outsideFaults(file('src/core/a.ts', "import net from 'node:net'")).length, 1)
  assert.equal(outsideFaults(file('src/proxy/a.ts', "import { readFileSync } from 'node:fs'")).length, 1)
  assert.equal(outsideFaults(file('src/schema/other.ts', "import { z } from 'zod'")).length, 1)
  assert.equal(
    erasableFaults(file('src/core/a.ts', 'export enum A { b }\nclass C { constructor(private x: number) {} }')).length,
    2,
  )
  assert.deepEqual(
    cycles([
      file('src/base/a.ts', "import { b } from './b.ts'"),
      file('src/base/b.ts', "const r = /'/\nimport { a } from './a.ts'"),
      file('src/base/c.ts', "import type { a } from './a.ts'"),
    ]),
    ['src/base/a.ts -> src/base/b.ts -> src/base/a.ts'],
  )
})

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.includes('/testing/')
}

function folderOf(path: string): string {
  const parts = path.split('/')
  return parts.length > 2 ? (parts[1] as string) : ''
}

function layerOf(path: string): number {
  return folderOf(path) === '' ? TOP : (LAYERS[folderOf(path)] ?? TOP)
}

function layerFaults(file: SourceFile): string[] {
  const from = layerOf(file.path)
  return file.imports
    .filter(({ path }) => path?.startsWith('src/') && folderOf(path) !== folderOf(file.path))
    .filter(({ path }) => {
      const to = layerOf(path as string)
      return to > from || (to === from && from < SIDEWAYS)
    })
    .map(({ path }) => `${file.path} (layer ${from}) imports ${path} (layer ${layerOf(path as string)})`)
}

function schemaFaults(file: SourceFile): string[] {
  if (!file.path.endsWith('.schema.ts')) return []
  return file.imports
    .filter(({ path }) => path === null || !(path.endsWith('.schema.ts') || path.startsWith('src/schema/')))
    .map(({ specifier }) => `${file.path} imports ${specifier}`)
}

function outsideFaults(file: SourceFile): string[] {
  return file.imports.flatMap(({ specifier, typeOnly }) =>
    ONLY_IN.filter(([what, where]) => what.test(specifier) && !where.test(file.path) && !typeOnly).map(
      ([, , why]) => `${file.path} imports ${specifier}: ${why}`,
    ),
  )
}

function erasableFaults(file: SourceFile): string[] {
  const rules: readonly (readonly [RegExp, string])[] = [
    [/^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s+\w/m, 'enum'],
    [/^\s*(export\s+)?(declare\s+)?(namespace|module)\s+[\w.]+\s*\{/m, 'namespace'],
    [/\bconstructor\s*\((?:[^)]*,)?\s*(?:private|public|protected|readonly)\s+\w+\s*[?:,)=]/, 'parameter property'],
    [/^\s*@\w+/m, 'decorator'],
  ]
  return rules.filter(([pattern]) => pattern.test(file.code)).map(([, name]) => `${file.path}: ${name}`)
}

/** Each cycle once, as `a -> b -> a`; imports of types only do not count, they are gone at run time. */
function cycles(files: readonly SourceFile[]): string[] {
  const edges = new Map(
    files.map((file) => [
      file.path,
      file.imports.filter((i) => i.path !== null && !i.typeOnly).map((i) => i.path as string),
    ]),
  )
  const found: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: string[]): void => {
    const seenAt = trail.indexOf(path)
    if (seenAt >= 0) found.push([...trail.slice(seenAt), path].join(' -> '))
    if (seenAt >= 0 || done.has(path)) return
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return found
}
