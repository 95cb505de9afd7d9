import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

/** Root of the repository, without a final slash. */
export const ROOT = normalize(join(import.meta.dirname, '..', '..'))

/** One import of a source file. */
export interface Import {
  /** As written: `node:fs`, `zod`, `./cidr.ts`. */
  readonly specifier: string
  /** Path from the repository's root for a relative import, else null. */
  readonly path: string | null
  /** `import type` and `export type`: gone at run time. */
  readonly typeOnly: boolean
}

/** One TypeScript file with what the architecture rules look at. */
export interface SourceFile {
  /** From the repository's root: `src/base/cidr.ts`. */
  readonly path: string
  readonly text: string
  /** The text with comments and the contents of strings blanked, same length and lines. */
  readonly code: string
  readonly imports: readonly Import[]
  readonly lines: number
}

/** Reads every `.ts` file under a folder of the repository, sorted by path. */
export function readSources(folder: string): SourceFile[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort()
    .map((path) => sourceFile(path, readFileSync(join(ROOT, path), 'utf8')))
}

/** Looks at one file's text; `path` is from the repository's root. */
export function sourceFile(path: string, text: string): SourceFile {
  const { code, strings } = blank(text)
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
  return { path, text, code, imports: importsOf(path, code, strings), lines }
}

interface Literal {
  readonly start: number
  readonly value: string
}

// `from '…'`, `import '…'` and `import('…')`; the quotes stay in blanked code, what is between them does not.
const IMPORT = /\b(?:(import|export)(\s+type)?\b[^;'"`()]*?\bfrom\s*|import\s*\(?\s*)(['"])/g

function importsOf(path: string, code: string, strings: readonly Literal[]): Import[] {
  const list: Import[] = []
  for (const match of code.matchAll(IMPORT)) {
    const quote = match.index + match[0].length - 1
    const specifier = strings.find((literal) => literal.start === quote)?.value
    if (specifier === undefined) continue
    const target = specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : null
    list.push({ specifier, path: target, typeOnly: match[2] !== undefined })
  }
  return list
}

/** Blanks comments, strings, templates and regular expressions, so that later rules see code only. */
function blank(text: string): { code: string; strings: Literal[] } {
  const strings: Literal[] = []
  // Depths of the braces inside `${ }`, one entry per open template.
  const templates: number[] = []
  let code = ''
  let at = 0
  const skipTo = (end: number, keep = 0): void => {
    const inside = text.slice(at + keep, end - keep).replace(/[^\n]/g, ' ')
    code += text.slice(at, at + keep) + inside + text.slice(end - keep, end)
    at = end
  }
  while (at < text.length) {
    const c = text[at] as string
    if (text.startsWith('//', at)) skipTo(endOr(text.indexOf('\n', at), text.length))
    else if (text.startsWith('/*', at)) skipTo(endOr(text.indexOf('*/', at + 2) + 2, text.length, 2))
    else if (c === "'" || c === '"') {
      const end = closing(text, at, c)
      strings.push({ start: at, value: text.slice(at + 1, end - 1) })
      skipTo(end, 1)
    } else if (c === '`' || (c === '}' && templates.at(-1) === 0)) {
      if (c === '}') templates.pop()
      const end = templateEnd(text, at + 1)
      if (text[end - 1] === '{') templates.push(0)
      skipTo(end, 1)
    } else if (c === '/' && regexMayStart(code)) skipTo(regexEnd(text, at), 1)
    else {
      const depth = templates.length - 1
      if (depth >= 0 && c === '{') templates[depth] = (templates[depth] as number) + 1
      if (depth >= 0 && c === '}') templates[depth] = (templates[depth] as number) - 1
      code += c
      at++
    }
  }
  return { code, strings }
}

const endOr = (found: number, length: number, least = 0): number => (found < least ? length : found)

function closing(text: string, start: number, quote: string): number {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === quote || text[i] === '\n') return i + 1
  }
  return text.length
}

/** End of a template's text: behind its back quote, or behind the next `${`. */
function templateEnd(text: string, start: number): number {
  for (let i = start; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === '`') return i + 1
    else if (text[i] === '$' && text[i + 1] === '{') return i + 2
  }
  return text.length
}

/** A slash divides after a value and starts a regular expression after an operator, a bracket or a keyword. */
function regexMayStart(code: string): boolean {
  const before = code.trimEnd()
  return before === '' || /[(,=:[!&|?{};+\-*%<>~^]$|\b(?:return|case|typeof|of|in)$/.test(before.slice(-12))
}

function regexEnd(text: string, start: number): number {
  let inClass = false
  for (let i = start + 1; i < text.length; i++) {
    const c = text[i]
    if (c === '\\') i++
    else if (c === '[') inClass = true
    else if (c === ']') inClass = false
    else if (c === '\n') return i
    else if (c === '/' && !inClass) return i + 1
  }
  return text.length
}
