import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml'
import { type Problem, problemAt } from '../schema/problems.ts'
import type { Path } from '../schema/walk.ts'
import { hideBraces, showBraces, unquotedBrace } from './yaml-quoting.ts'

/** Values that aliases may add to a document; a file that repeats more than this is an attack or a mistake. */
const MAX_ALIASED_VALUES = 100_000

export interface Place {
  line: number
  column: number
}

/** A YAML file as a plain value, with the place of everything in it. */
export interface YamlSource {
  value: unknown
  problems: Problem[]
  /** Syntax that could not be read, with places; the value is not to be used then. */
  syntax: (Place & { text: string })[]
  /** Where a key or a value stands; the nearest section when it is absent. */
  place(problem: Problem): Place
  /** What was written at a path: a text, number or boolean before references were resolved; undefined for sections and absent keys. */
  written(path: Path): string | number | boolean | undefined
}

/** Reads YAML 1.2. `resolve` turns each text into its value; it may report problems of its own. */
export function readYaml(
  text: string,
  resolve: (text: string, report: (problem: string) => void) => string,
): YamlSource {
  let document = parse(text)
  let repaired = false
  if (document.errors.length > 0) {
    // Braces that want quotes break everything after them; with them hidden the rest of the file can still be checked.
    const hidden = hideBraces(text)
    if (hidden !== null) {
      document = parse(hidden)
      repaired = true
    }
  }
  const lines = document.lines
  const problems: Problem[] = []
  const converter = new Converter(problems, resolve, repaired)
  const syntax = document.errors.map((error) => ({ ...lines(error.offset), text: error.text }))
  const root = document.root
  const value = syntax.length === 0 && root !== null ? converter.convert(root, [], false, false) : null
  return {
    value,
    problems,
    syntax: syntax.map((one) => (repaired ? { ...one, text: showBraces(one.text) } : one)),
    place: ({ path, at, offset }) => lines(offset ?? offsetOf(root, path, at, converter.anchors)),
    written: (path) => {
      const node = nodeAt(root, path, converter.anchors).node
      if (!isScalar(node) || node.value === null) return undefined
      const written = node.value as string | number | boolean
      return repaired && typeof written === 'string' ? showBraces(written) : written
    },
  }
}

interface Parsed {
  root: Node | null
  errors: { offset: number; text: string }[]
  lines: (offset: number) => Place
}

function parse(text: string): Parsed {
  const counter = new LineCounter()
  const lines = (offset: number) => {
    const { line, col } = counter.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  try {
    const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, uniqueKeys: false })
    const found = [...document.errors, ...document.warnings]
    // The first error of a kind makes a cascade behind it: one per line, and none of those that only follow.
    const seen = new Set<number>()
    const errors: Parsed['errors'] = []
    for (const error of found) {
      const line = lines(error.pos[0]).line
      if (seen.has(line) || (errors.length > 0 && error.message.includes('in YAML stream'))) continue
      seen.add(line)
      const text = error.code === 'MULTIPLE_DOCS' ? 'there is more than one document' : plainMessage(error.message)
      errors.push({ offset: error.pos[0], text })
    }
    return { root: document.contents as Node | null, errors, lines }
  } catch (error) {
    const text = error instanceof RangeError ? 'is nested too deeply' : String(error)
    return { root: null, errors: [{ offset: 0, text }], lines }
  }
}

/** The library's text on one line, without the piece of the file that some of them end in: it could be a secret. */
const plainMessage = (message: string) => message.replace(/: ".*$/s, '').replaceAll('\n', ' ')

class Converter {
  readonly anchors = new Map<string, Node>()
  readonly #problems: Problem[]
  readonly #resolve: (text: string, report: (problem: string) => void) => string
  readonly #repaired: boolean
  readonly #open = new Set<Node>()
  #aliased = 0

  constructor(
    problems: Problem[],
    resolve: (text: string, report: (problem: string) => void) => string,
    repaired: boolean,
  ) {
    this.#problems = problems
    this.#resolve = resolve
    this.#repaired = repaired
  }

  convert(node: Node | null, path: (string | number)[], inFlow: boolean, aliased: boolean): unknown {
    if (aliased && ++this.#aliased > MAX_ALIASED_VALUES) {
      if (this.#aliased === MAX_ALIASED_VALUES + 1)
        this.#report(path, 'aliases repeat too much of the file|write it out')
      return null
    }
    if (isAlias(node)) return this.#alias(node.source, path)
    if (node !== null && 'anchor' in node && typeof node.anchor === 'string') this.anchors.set(node.anchor, node)
    if (isMap(node)) return this.#map(node, path, aliased)
    if (isSeq(node)) {
      const flow = node.flow === true
      return node.items.map((item, index) => {
        path.push(index)
        const value = this.convert(item as Node | null, path, flow, aliased)
        path.pop()
        return value
      })
    }
    return isScalar(node) ? this.#scalar(node.value, node.type === 'PLAIN', inFlow, path) : null
  }

  #map(node: { items: Pair[]; flow?: boolean }, path: (string | number)[], aliased: boolean): unknown {
    const result: Record<string, unknown> = {}
    for (const pair of node.items) {
      if (!isScalar(pair.key)) {
        this.#report(path, 'has a key that is not a plain name|quote { } and [ ] when they are meant as text')
        continue
      }
      const key = this.#show(String(pair.key.value))
      path.push(key)
      // Assigning `__proto__` would change the object's type instead of its keys.
      if (key === '__proto__') this.#report(path, 'cannot be a key', 'key')
      else if (Object.hasOwn(result, key)) this.#reportTwice(path, pair.key.range?.[0] ?? 0)
      else result[key] = this.convert(pair.value as Node | null, path, node.flow === true, aliased)
      path.pop()
    }
    return result
  }

  #alias(source: string, path: (string | number)[]): unknown {
    const target = this.anchors.get(source)
    if (target === undefined) {
      this.#report(path, `*${source} is read as an alias, and there is no such anchor|quote it: '*${source}'`)
      return `*${source}`
    }
    if (this.#open.has(target)) {
      this.#report(path, `*${source} contains itself`)
      return null
    }
    this.#open.add(target)
    const value = this.convert(target, path, false, true)
    this.#open.delete(target)
    return value
  }

  #scalar(value: unknown, plain: boolean, inFlow: boolean, path: (string | number)[]): unknown {
    if (typeof value !== 'string') return value
    const shown = this.#show(value)
    if (plain && shown !== value && (inFlow || shown.startsWith('[')))
      this.#report(path, `has unquoted ${unquotedBrace(shown)}|quote it: '${shown}'`)
    return this.#resolve(shown, (problem) => this.#report(path, problem))
  }

  #show(text: string): string {
    return this.#repaired ? showBraces(text) : text
  }

  #reportTwice(path: Path, offset: number): void {
    this.#problems.push({ ...problemAt([...path], 'this key is there twice|remove one', 'key'), offset })
  }

  #report(path: Path, text: string, at: 'key' | 'value' = 'value'): void {
    this.#problems.push(problemAt([...path], text, at))
  }
}

function nodeAt(
  root: Node | null,
  path: Path,
  anchors: Map<string, Node>,
): { node: Node | null; key: Node | null; found: boolean } {
  let node = follow(root, anchors)
  let key: Node | null = null
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && showBraces(String(item.key.value)) === String(step))
      if (pair === undefined) return { node, key, found: false }
      key = pair.key as Node
      node = follow(pair.value as Node | null, anchors)
    } else if (isSeq(node) && typeof step === 'number' && step < node.items.length) {
      key = null
      node = follow(node.items[step] as Node | null, anchors)
    } else return { node, key, found: false }
  }
  return { node, key, found: true }
}

function follow(node: Node | null, anchors: Map<string, Node>): Node | null {
  return isAlias(node) ? (anchors.get(node.source) ?? node) : node
}

function offsetOf(root: Node | null, path: Path, at: 'key' | 'value', anchors: Map<string, Node>): number {
  const { node, key, found } = nodeAt(root, path, anchors)
  const chosen = at === 'key' || !found ? (key ?? node) : (node ?? key)
  return chosen?.range?.[0] ?? 0
}
