import { nearest } from '../schema/nearest.ts'
import { type Problem, problemAt } from '../schema/problems.ts'
import type { Path } from '../schema/walk.ts'
import type { Draft } from './draft.ts'

/** What the checks found: problems stop the start, warnings do not. */
export interface Findings {
  problems: Problem[]
  warnings: Problem[]
}

/** The problem of a name that no upstream has. */
export function unknownUpstream(draft: Draft, name: string, path: Path, { problems }: Findings): Problem {
  // A guess looks at every upstream: 10,000 wrong names among 1,000 would take seconds, and nobody reads that many.
  const guess = problems.length < 100 ? nearest(name, [...draft.upstreams.keys()]) : null
  const hint = guess === null ? 'add it under upstreams' : `did you mean ${guess}?`
  return { ...problemAt(path, `there is no such upstream|${hint}`), quoteValue: true }
}
