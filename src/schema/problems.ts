import type { RawIssue, Schema } from './kit.ts'
import { nearest } from './nearest.ts'
import { keysAt, type Path } from './walk.ts'

/** One thing that is wrong with a value. Its texts never hold the value itself. */
export interface Problem {
  path: Path
  problem: string
  hint: string | null
  /** Whether the position is that of the key or of the value. */
  at: 'key' | 'value'
  /** Whether what was written should be quoted after the problem. */
  quoteValue: boolean
  /** Where it is in the file's text, when the path alone does not say. */
  offset?: number
}

/** A problem with a value, for checks outside the schema. A hint may follow a `|` in the text. */
export function problemAt(path: Path, text: string, at: 'key' | 'value' = 'value'): Problem {
  const [problem, hint] = splitHint(text)
  return { path, problem, hint, at, quoteValue: false }
}

/** Whether it is refused because this version does not have it. */
export const isNotAvailable = (problem: Problem) => problem.problem === 'not available in this version'

/** Turns what the schema library found into problems, one per fault, with "did you mean" for unknown keys. */
export function toProblems(schema: Schema, issues: readonly RawIssue[], valueAt: (path: Path) => unknown): Problem[] {
  const seen = new Set<string>()
  return issues
    .flatMap((issue) => fromIssue(schema, issue, [], valueAt))
    .filter(({ path, at }) => {
      // What breaks one rule of a value often breaks the next as well; the first says it.
      const key = `${at} ${JSON.stringify(path)}`
      return !seen.has(key) && seen.add(key) !== null
    })
}

function fromIssue(schema: Schema, issue: RawIssue, base: Path, valueAt: (path: Path) => unknown): Problem[] {
  const path = [...base, ...issue.path]
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, path)
    return (issue.keys ?? []).map((key) => unknownKey([...path, key], key, known))
  }
  if (issue.code === 'invalid_union' && issue.errors !== undefined && issue.errors.length > 0) {
    const best = bestBranch(issue.errors)
    if (best !== null) return best.flatMap((inner) => fromIssue(schema, inner, path, valueAt))
    if (issue.message === 'Invalid input') return [mismatch(path, joinExpected(issue.errors), valueAt)]
  }
  if (issue.code === 'invalid_key') {
    const inner = issue.issues?.[0]?.message ?? 'is not a valid name'
    return [problemAt(path, inner.startsWith('expected') ? `this key: ${inner}` : `this key ${inner}`, 'key')]
  }
  return [mismatch(path, issue.message, valueAt)]
}

function unknownKey(path: Path, key: string, known: string[]): Problem {
  const guess = nearest(key, known)
  const names = known.length > 12 ? `${known.slice(0, 12).join(', ')}, …` : known.join(', ')
  return problemAt(path, `unknown key|${guess === null ? `known here: ${names}` : `did you mean ${guess}?`}`, 'key')
}

function mismatch(path: Path, message: string, valueAt: (path: Path) => unknown): Problem {
  const [problem, hint] = splitHint(message)
  if (problem === 'not available in this version') return { path, problem, hint, at: 'key', quoteValue: false }
  const value = valueAt(path)
  if (value === undefined) return { path, problem: 'is missing', hint: hint ?? problem, at: 'key', quoteValue: false }
  if (value === null) {
    return { path, problem: 'has no value', hint: 'give it one, or remove the key', at: 'key', quoteValue: false }
  }
  const expected = problem.startsWith('expected')
  return { path, problem, hint: (expected ? hintFor(problem, value) : null) ?? hint, at: 'value', quoteValue: expected }
}

/** The branch whose kind of value was meant: the one that does not fail at its root. Null when every one does. */
function bestBranch(branches: RawIssue[][]): RawIssue[] | null {
  let best: RawIssue[] | null = null
  for (const issues of branches) {
    const rootMismatch = issues.some(
      (issue) => issue.path.length === 0 && issue.code !== 'unrecognized_keys' && issue.code !== 'custom',
    )
    if (!rootMismatch && (best === null || issues.length < best.length)) best = issues
  }
  return best
}

function joinExpected(branches: RawIssue[][]): string {
  const parts = branches.map((issues) => splitHint(issues[0]?.message ?? '')[0].replace(/^expected /, ''))
  return `expected ${[...new Set(parts)].join(', or ')}`
}

function hintFor(expected: string, value: unknown): string | null {
  if (
    (typeof value === 'number' || typeof value === 'boolean') &&
    /^expected (a text|the name|a host|a method)/.test(expected)
  ) {
    return `quote it: '${String(value)}'`
  }
  if (typeof value === 'number' && expected.includes('a duration')) return `write a unit, such as ${value}s`
  if (typeof value === 'number' && expected.includes('a size')) return `write a unit, such as ${value}B or ${value}KiB`
  const braced = typeof value === 'object' && value !== null ? Object.entries(value) : []
  if (braced.length === 1 && braced[0]![1] === null) return `quote it: '{${braced[0]![0]}}'`
  if (typeof value === 'string' && expected.includes('a list')) return 'put it in [ ]'
  if (typeof value === 'string' && expected.includes('whole number') && /^\d+$/.test(value)) return 'without quotes'
  return null
}

function splitHint(message: string): [string, string | null] {
  const bar = message.indexOf('|')
  return bar < 0 ? [message, null] : [message.slice(0, bar), message.slice(bar + 1)]
}
