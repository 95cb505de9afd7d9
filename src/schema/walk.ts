import { open, type Schema } from './kit.ts'

/** Where a value stands: keys and list indexes from the root. */
export type Path = readonly (string | number)[]

/** The keys that a schema knows at a path; empty where the user chooses the names. */
export function keysAt(schema: Schema, path: Path): string[] {
  let here: Schema[] = [schema]
  for (const step of path) here = here.flatMap((one) => childrenAt(one, step))
  return [...new Set(here.flatMap(knownKeys))]
}

/** Every secret in a value as its user wrote it: calls back with its path and whether it is one whole or a URL with one inside. */
export function visitSecrets(schema: Schema, value: unknown, visit: (path: Path, kind: 'value' | 'url') => void): void {
  walk(schema, value, [], new Map(), visit)
}

function walk(
  schema: Schema,
  value: unknown,
  path: (string | number)[],
  known: Map<Schema, boolean>,
  visit: (path: Path, kind: 'value' | 'url') => void,
): void {
  if (!holdsSecret(schema, known)) return
  const { children, secret } = open(schema)
  if (secret !== undefined) {
    if (typeof value === 'string' || typeof value === 'number') visit([...path], secret)
    return
  }
  if (children.kind === 'union') {
    for (const option of children.options) walk(option, value, path, known, visit)
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [key, item] of Object.entries(value)) {
    const step = Array.isArray(value) ? Number(key) : key
    for (const child of childrenAt(schema, step)) {
      path.push(step)
      walk(child, item, path, known, visit)
      path.pop()
    }
  }
}

/** Remembered per schema, so that 10,000 routes are not searched for secrets that a route cannot hold. */
function holdsSecret(schema: Schema, known: Map<Schema, boolean>): boolean {
  const remembered = known.get(schema)
  if (remembered !== undefined) return remembered
  known.set(schema, false)
  const { children, secret } = open(schema)
  let holds = secret !== undefined
  if (children.kind === 'object') holds = Object.values(children.shape).some((child) => holdsSecret(child, known))
  else if (children.kind === 'map' || children.kind === 'list') holds = holdsSecret(children.item, known)
  else if (children.kind === 'union') holds = children.options.some((option) => holdsSecret(option, known))
  known.set(schema, holds)
  return holds
}

function childrenAt(schema: Schema, step: string | number): Schema[] {
  const { children } = open(schema)
  if (children.kind === 'union') return children.options.flatMap((option) => childrenAt(option, step))
  if (children.kind === 'list') return typeof step === 'number' ? [children.item] : []
  if (children.kind === 'map') return [children.item]
  if (children.kind === 'object' && Object.hasOwn(children.shape, step)) return [children.shape[step]!]
  return []
}

function knownKeys(schema: Schema): string[] {
  const { children } = open(schema)
  if (children.kind === 'object') return Object.keys(children.shape)
  return children.kind === 'union' ? children.options.flatMap(knownKeys) : []
}
