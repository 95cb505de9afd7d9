import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { validate } from '../schema/kit.ts'
import { isNotAvailable, type Problem, problemAt, toProblems } from '../schema/problems.ts'
import { type Path, visitSecrets } from '../schema/walk.ts'
import { readCertificates } from './certificates.ts'
import { ConfigError } from './config-error.ts'
import { crossCheck } from './cross-checks.ts'
import { partialDraft, wholeDraft } from './draft.ts'
import { finish } from './finish.ts'
import { readYaml, type YamlSource } from './load-yaml.ts'
import { HOW_TO_REFER, isReference, type ReferenceSource, reasonOf, resolveReferences } from './references.ts'
import { type Config, rootSchema } from './root.schema.ts'

/** 10,000 routes are about 1 MiB. */
const MAX_FILE_BYTES = 4 * 1024 * 1024
/** More problems than anyone reads at once. */
const MAX_PROBLEMS = 500
/** Shorter values are in every other word, and no secrets. */
const MIN_HIDDEN = 4

export interface LoadOptions {
  /** Where `${env:NAME}` looks. Default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Reads a file; throws when it is longer than `maxBytes`. Default: from the disk. */
  readonly readFile?: (path: string, maxBytes: number) => Buffer
  /** Milliseconds since 1970, for the validity of certificates. Default: now. */
  readonly nowMs?: number
}

export interface LoadedConfig {
  config: Config
  /** As `file:line:column path: warning (hint)`. */
  warnings: string[]
  /** The file's text. */
  source: string
}

/**
 * Reads and checks a configuration file, and everything that it names.
 * Throws a ConfigError with every problem at once, in the order of the file. No secret is in any problem or warning.
 */
export function loadConfig(file: string, options: LoadOptions = {}): LoadedConfig {
  const source: ReferenceSource = {
    env: options.env ?? process.env,
    readFile: options.readFile ?? readFromDisk,
    directory: dirname(resolve(file)),
  }
  const text = readText(file, source)
  const secretValues = new Set<string>()
  const yaml = readYaml(text, (value, report) => resolveReferences(value, source, report, secretValues))
  if (yaml.syntax.length > 0) {
    throw new ConfigError(yaml.syntax.map((one) => `${file}:${one.line}:${one.column} yaml: ${one.text}`))
  }
  const references = yaml.problems
  const secrets = checkSecrets(yaml)
  const result = validate(rootSchema, yaml.value ?? {})
  const valid = 'value' in result
  const shape = valid ? [] : toProblems(rootSchema, result.issues, (path) => valueAt(yaml.value ?? {}, path))
  const draft = valid ? wholeDraft(result.value) : partialDraft(yaml.value)
  const { problems, warnings } = crossCheck(draft)
  readCertificates(draft, source, options.nowMs ?? Date.now(), { problems, warnings })
  // A value that could not be had is not also of the wrong shape.
  const silent = new Set(references.map((problem) => JSON.stringify(problem.path)))
  const heard = [...shape, ...problems].filter((problem) => !silent.has(JSON.stringify(problem.path)))
  // What is wrong with how a secret is written is not said with the secret in it.
  const secret = new Set(secrets.map((problem) => JSON.stringify(problem.path)))
  const spoken = withoutRefused(references, shape).filter((problem) => !secret.has(JSON.stringify(problem.path)))
  const all = [...spoken, ...secrets, ...heard]
  if (all.length > 0 || !valid) throw new ConfigError(format(file, yaml, all, secretValues))
  return {
    config: finish(result.value, source.directory),
    warnings: format(file, yaml, warnings, secretValues),
    source: text,
  }
}

function readText(file: string, source: ReferenceSource): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(source.readFile(resolve(file), MAX_FILE_BYTES))
  } catch (error) {
    const reason = error instanceof TypeError ? 'it is not UTF-8' : reasonOf(error)
    throw new ConfigError([
      `${file}:1:1 file: cannot be read: ${reason} (name another with -c FILE, or write one with init)`,
    ])
  }
}

/** Secrets written into the file end up in version control, so only references are taken. */
function checkSecrets(yaml: YamlSource): Problem[] {
  const found: Problem[] = []
  visitSecrets(rootSchema, yaml.value, (path, kind) => {
    const written = String(yaml.written(path) ?? '')
    if (kind === 'value' && !isReference(written)) {
      found.push(problemAt(path, `is a secret and must not be in this file|${HOW_TO_REFER}`))
    }
    if (kind === 'url' && /^[a-z]+:\/\/[^/@]*:(?!\$\{(env|file):[^}]+\}@)[^/]*@/.test(written)) {
      found.push(problemAt(path, `has a password that must not be in this file|${HOW_TO_REFER}`))
    }
  })
  return found
}

/** A reference inside of something that is refused anyway is not worth a second problem. */
function withoutRefused(references: Problem[], shape: Problem[]): Problem[] {
  const refused = shape.filter(isNotAvailable).map((problem) => problem.path)
  return references.filter(
    ({ path }) =>
      !refused.some((prefix) => prefix.length <= path.length && prefix.every((step, index) => step === path[index])),
  )
}

function format(
  file: string,
  yaml: YamlSource,
  problems: readonly Problem[],
  secretValues: ReadonlySet<string>,
): string[] {
  const placed = problems.slice(0, MAX_PROBLEMS).map((problem) => ({ problem, place: yaml.place(problem) }))
  placed.sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)
  const lines = placed.map(({ problem, place }) => {
    const written = problem.quoteValue ? yaml.written(problem.path) : undefined
    const got = written === undefined ? '' : `, got ${quote(written)}`
    const hint = problem.hint === null ? '' : ` (${problem.hint})`
    return `${file}:${place.line}:${place.column} ${pathText(problem.path)}: ${hide(problem.problem, secretValues)}${got}${hide(hint, secretValues)}`
  })
  if (problems.length > MAX_PROBLEMS)
    lines.push(`${file}:1:1 file: and ${problems.length - MAX_PROBLEMS} more problems`)
  return [...new Set(lines)]
}

/** A second guard: checks are written so that they do not repeat values, and one that does still tells no secret. */
function hide(text: string, secretValues: ReadonlySet<string>): string {
  let hidden = text
  for (const value of secretValues) if (value.length >= MIN_HIDDEN) hidden = hidden.replaceAll(value, '…')
  return hidden
}

function quote(written: string | number | boolean): string {
  // A password that someone wrote into a URL is not repeated.
  const text = JSON.stringify(written).replace(/\/\/[^/\s]*@/, '//…@')
  return text.length > 80 ? `${text.slice(0, 76)}…"` : text
}

function pathText(path: Path): string {
  if (path.length === 0) return 'file'
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else text += `${text === '' ? '' : '.'}${/^[\w$*+:/@~%&!#'.{}-]+$/.test(step) ? step : JSON.stringify(step)}`
  }
  return text
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Record<string | number, unknown>)[step]
  }
  return at
}

function readFromDisk(path: string, maxBytes: number): Buffer {
  const handle = openSync(path, 'r')
  try {
    if (fstatSync(handle).isDirectory()) throw Object.assign(new Error('directory'), { code: 'EISDIR' })
    const chunks: Buffer[] = []
    let total = 0
    for (;;) {
      const chunk = Buffer.allocUnsafe(65_536)
      const read = readSync(handle, chunk)
      if (read === 0) return Buffer.concat(chunks)
      total += read
      if (total > maxBytes) throw new RangeError(`it is longer than ${maxBytes} bytes`)
      chunks.push(chunk.subarray(0, read))
    }
  } finally {
    closeSync(handle)
  }
}
