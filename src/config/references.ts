import { resolve } from 'node:path'

/** Where references are read from. */
export interface ReferenceSource {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reads a file of at most so many bytes; throws when it cannot. */
  readonly readFile: (path: string, maxBytes: number) => Buffer
  /** Directory that relative paths start from. */
  readonly directory: string
}

/** A secret is a key or a token, not a document. */
const MAX_SECRET_BYTES = 65_536
/** For the hints of problems. */
export const HOW_TO_REFER = `write a reference: \${env:NAME} or \${file:path}`
const REFERENCE = /\$(\$?)\{([^}]*)(\}?)/g

/** Whether the text is one reference and nothing else. */
export const isReference = (text: string) => /^\$\{(env|file):[^}]+\}$/.test(text)

/**
 * Puts values in place of `${env:NAME}` and `${file:path}`; `$${` stays as `${`.
 * What was found is added to `values`. Problems are reported by name, never with a value; one line break at the end of a file is not part of the secret.
 */
export function resolveReferences(
  text: string,
  source: ReferenceSource,
  report: (problem: string) => void,
  values: Set<string>,
): string {
  if (!text.includes('${')) return text
  return text.replace(REFERENCE, (whole, escaped: string, body: string, end: string) => {
    if (escaped !== '') return whole.slice(1)
    const value = end === '' ? undefined : lookUp(body, source, report)
    if (value === undefined && (end === '' || !/^(env|file):./.test(body))) {
      report(`has a reference that is not understood|${HOW_TO_REFER}, and $\${ for \${ itself`)
    }
    if (value !== undefined) values.add(value)
    return value ?? 'unresolved'
  })
}

function lookUp(body: string, source: ReferenceSource, report: (problem: string) => void): string | undefined {
  if (body.startsWith('env:') && body.length > 4) {
    const name = body.slice(4)
    const value = Object.hasOwn(source.env, name) ? source.env[name] : undefined
    if (value === undefined) report(`environment variable ${name} is not set|export it before the edge starts`)
    else if (value === '') report(`environment variable ${name} is empty|give it a value`)
    return value === '' ? undefined : value
  }
  if (body.startsWith('file:') && body.length > 5) return readSecret(body.slice(5), source, report)
  return undefined
}

function readSecret(path: string, source: ReferenceSource, report: (problem: string) => void): string | undefined {
  try {
    const value = source
      .readFile(resolve(source.directory, path), MAX_SECRET_BYTES)
      .toString('utf8')
      .replace(/\r?\n$/, '')
    if (value !== '') return value
    report(`file ${path} is empty|put the secret in it`)
  } catch (error) {
    report(`file ${path} cannot be read: ${reasonOf(error)}`)
  }
  return undefined
}

/** Why a file cannot be read, in a few words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ENOENT') return 'there is no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied'
  if (code === 'EISDIR') return 'it is a directory'
  return error instanceof RangeError ? error.message : code || 'unknown reason'
}
