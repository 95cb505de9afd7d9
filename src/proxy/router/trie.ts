import type { Exchange } from '../../core/exchange.ts'
import type { Route } from '../../core/route.ts'
import { PathBytes } from '../path/path-bytes.ts'
import { compileEntry, type Entry } from './entry.ts'
import type { TemplateSegment } from './template.ts'
import { chooseEntry, collectMethods, compileTerminal, type Terminal } from './terminal.ts'

/** Int32 fields of a node's record; a record is half a cache line. */
const PARENT = 0
const HASH = 1
const TEXT = 2
/** Twice the length of the segment's text, plus 1 if the node has literal children. */
const LENGTH = 3
const NAME_CHILD = 4
/** Terminal numbers; 0 is none. */
const EXACT = 5
const REST = 6
const ALL = 7
const RECORD = 8

/**
 * Path templates of all hosts, as trees over segments, packed into typed arrays: a look-up touches one record and one
 * hash slot per segment however many routes there are, and allocates nothing.
 *
 * A look-up prefers, segment by segment, literal text over `{name}` over `{rest+}` over `/*`, and goes back to the less
 * specific when the more specific has no route that fits. Each node stands for one prefix of one template, so a look-up
 * visits it at most once: its work is bounded by the configuration, not by what is asked.
 */
export class Trie {
  readonly #nodes: Int32Array
  readonly #slots: Int32Array
  readonly #text: Uint8Array
  readonly #terminals: readonly Terminal[]
  readonly #bytes = new PathBytes()

  constructor(nodes: Int32Array, slots: Int32Array, text: Uint8Array, terminals: readonly Terminal[]) {
    this.#nodes = nodes
    this.#slots = slots
    this.#text = text
    this.#terminals = terminals
  }

  /**
   * The route that a routing key takes below the first of the roots that has one, or null. `*` is matched by `/*` only.
   */
  find(
    roots: readonly number[],
    key: string,
    exchange: Exchange,
    method: string,
    preflight: string | null,
  ): Entry | null {
    const bytes = this.#bytes.load(key)
    const origin = bytes[0] === 0x2f
    for (let i = 0; i < roots.length; i++) {
      const entry = origin
        ? this.#find(roots[i], bytes, key.length, 1, exchange, method, preflight)
        : this.#choose(this.#nodes[roots[i] * RECORD + ALL], exchange, method, preflight)
      if (entry !== null) return entry
    }
    return null
  }

  /** The methods of every route below the roots that would take the key by another method. */
  allowed(roots: readonly number[], key: string, exchange: Exchange): Set<string> {
    const into = new Set<string>()
    const bytes = this.#bytes.load(key)
    for (const root of roots) {
      if (bytes[0] === 0x2f) this.#allowed(root, bytes, key.length, 1, exchange, into)
      else this.#collect(this.#nodes[root * RECORD + ALL], exchange, into)
    }
    return into
  }

  /** `start` is where the next segment begins; it lies behind the end when the path has none left. */
  #find(
    node: number,
    bytes: Uint8Array,
    length: number,
    start: number,
    exchange: Exchange,
    method: string,
    preflight: string | null,
  ): Entry | null {
    const nodes = this.#nodes
    const at = node * RECORD
    if (start > length) {
      return (
        this.#choose(nodes[at + EXACT], exchange, method, preflight) ??
        this.#choose(nodes[at + ALL], exchange, method, preflight)
      )
    }
    const name = nodes[at + NAME_CHILD]
    const hasLiterals = (nodes[at + LENGTH] & 1) !== 0
    if (name !== 0 || hasLiterals) {
      let hash = 0
      let end = start
      for (; end < length; end++) {
        const c = bytes[end]
        if (c === 0x2f) break
        hash = (Math.imul(hash, 31) + c) | 0
      }
      if (hasLiterals) {
        const child = this.#child(node, hash, bytes, start, end)
        if (child !== 0) {
          const entry = this.#find(child, bytes, length, end + 1, exchange, method, preflight)
          if (entry !== null) return entry
        }
      }
      if (name !== 0 && end > start) {
        const entry = this.#find(name, bytes, length, end + 1, exchange, method, preflight)
        if (entry !== null) return entry
      }
    }
    if (start < length) {
      const entry = this.#choose(nodes[at + REST], exchange, method, preflight)
      if (entry !== null) return entry
    }
    return this.#choose(nodes[at + ALL], exchange, method, preflight)
  }

  #choose(terminal: number, exchange: Exchange, method: string, preflight: string | null): Entry | null {
    return terminal === 0 ? null : chooseEntry(this.#terminals[terminal], exchange, method, preflight)
  }

  #child(node: number, hash: number, bytes: Uint8Array, start: number, end: number): number {
    const slots = this.#slots
    const nodes = this.#nodes
    const mask = slots.length - 1
    for (let slot = slotOf(node, hash) & mask; ; slot = (slot + 1) & mask) {
      const child = slots[slot]
      if (child === 0) return 0
      const at = child * RECORD
      if (nodes[at + HASH] === hash && nodes[at + PARENT] === node && this.#textIs(at, bytes, start, end)) return child
    }
  }

  #textIs(at: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#nodes[at + LENGTH] >> 1 !== end - start) return false
    const text = this.#text
    const offset = this.#nodes[at + TEXT] - start
    for (let i = start; i < end; i++) if (text[offset + i] !== bytes[i]) return false
    return true
  }

  #allowed(
    node: number,
    bytes: Uint8Array,
    length: number,
    start: number,
    exchange: Exchange,
    into: Set<string>,
  ): void {
    const at = node * RECORD
    const nodes = this.#nodes
    if (start > length) this.#collect(nodes[at + EXACT], exchange, into)
    else {
      let hash = 0
      let end = start
      for (; end < length && bytes[end] !== 0x2f; end++) hash = (Math.imul(hash, 31) + bytes[end]) | 0
      const child = this.#child(node, hash, bytes, start, end)
      if (child !== 0) this.#allowed(child, bytes, length, end + 1, exchange, into)
      const name = nodes[at + NAME_CHILD]
      if (name !== 0 && end > start) this.#allowed(name, bytes, length, end + 1, exchange, into)
      if (start < length) this.#collect(nodes[at + REST], exchange, into)
    }
    this.#collect(nodes[at + ALL], exchange, into)
  }

  #collect(terminal: number, exchange: Exchange, into: Set<string>): void {
    if (terminal !== 0) collectMethods(this.#terminals[terminal], exchange, into)
  }
}

/** Collects routes at load time and packs them into a Trie. */
export class TrieBuilder {
  readonly #drafts: DraftNode[] = [new DraftNode(0, '')]
  readonly #terminals: Entry[][] = [[]]

  /** Makes a root, for one host; its number is what `Trie.find` takes. */
  root(): number {
    return this.#drafts.push(new DraftNode(0, '')) - 1
  }

  add(root: number, segments: readonly TemplateSegment[], route: Route): void {
    const entry = compileEntry(route, segments)
    let node = root
    for (const { kind, text } of segments) {
      if (kind === 'all' || kind === 'rest') {
        this.#append(this.#drafts[node], kind, entry)
        return
      }
      node = kind === 'name' ? this.#nameChild(node) : this.#literalChild(node, text)
    }
    this.#append(this.#drafts[node], 'exact', entry)
  }

  build(): Trie {
    const drafts = this.#drafts
    const nodes = new Int32Array(drafts.length * RECORD)
    // At most a quarter full, so that a miss usually ends at its first slot.
    const slots = new Int32Array(2 ** Math.ceil(Math.log2(drafts.length * 4)))
    const text = Buffer.from(drafts.map((draft) => draft.text).join(''), 'latin1')
    let offset = 0
    for (const [number, draft] of drafts.entries()) {
      const hash = hashOf(draft.text)
      const length = draft.text.length * 2 + (draft.literals.size > 0 ? 1 : 0)
      nodes.set([draft.parent, hash, offset, length, draft.name, draft.exact, draft.rest, draft.all], number * RECORD)
      offset += draft.text.length
      for (const [segment, child] of draft.literals) {
        let slot = slotOf(number, hashOf(segment)) & (slots.length - 1)
        while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1)
        slots[slot] = child
      }
    }
    return new Trie(nodes, slots, text, this.#terminals.map(compileTerminal))
  }

  #append(draft: DraftNode, kind: 'exact' | 'rest' | 'all', entry: Entry): void {
    if (draft[kind] === 0) draft[kind] = this.#terminals.push([]) - 1
    this.#terminals[draft[kind]].push(entry)
  }

  #nameChild(node: number): number {
    const draft = this.#drafts[node]
    if (draft.name === 0) draft.name = this.#drafts.push(new DraftNode(node, '')) - 1
    return draft.name
  }

  #literalChild(node: number, text: string): number {
    const draft = this.#drafts[node]
    let child = draft.literals.get(text)
    if (child === undefined) {
      child = this.#drafts.push(new DraftNode(node, text)) - 1
      draft.literals.set(text, child)
    }
    return child
  }
}

class DraftNode {
  readonly parent: number
  readonly text: string
  readonly literals = new Map<string, number>()
  name = 0
  exact = 0
  rest = 0
  all = 0

  constructor(parent: number, text: string) {
    this.parent = parent
    this.text = text
  }
}

function hashOf(text: string): number {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
  return hash
}

function slotOf(parent: number, hash: number): number {
  const mixed = Math.imul(hash ^ Math.imul(parent, 0x9e3779b1), 0x85ebca6b)
  return mixed ^ (mixed >>> 15)
}
