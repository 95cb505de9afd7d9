import type { TrieBuilder } from './trie.ts'

/** Hosts whose roots are remembered; clients can send any number of them. */
const KNOWN_LIMIT = 1024
/** RFC 1035 2.3.4, without the final dot. */
const MAX_HOST = 253

/** The hosts that routes name, each with the root of its path templates. */
export class HostTable {
  readonly #exact = new Map<string, number>()
  /** Suffixes with their leading dot. */
  readonly #suffixes = new Map<string, number>()
  /** Root of the routes without a host; 0 is none. */
  #any = 0
  #anyRoots: readonly number[] = []
  readonly #known = new Map<string, readonly number[]>()

  /** The root for a route's host, made by the builder at first. Load time only. Throws a RangeError for a bad host. */
  rootOf(host: string | null, builder: TrieBuilder): number {
    if (host === null) {
      if (this.#any === 0) this.#any = builder.root()
      this.#anyRoots = [this.#any]
      return this.#any
    }
    const wild = host.startsWith('*.')
    const name = wild ? host.slice(1) : host
    if (name.length < (wild ? 2 : 1) || name.length > MAX_HOST || name.includes('*') || name.endsWith('.')) {
      throw new RangeError(`host "${host}" is not a host name or *.suffix`)
    }
    if (name !== name.toLowerCase()) throw new RangeError(`host "${host}" is not lower case`)
    const table = wild ? this.#suffixes : this.#exact
    let root = table.get(name)
    if (root === undefined) {
      root = builder.root()
      table.set(name, root)
    }
    return root
  }

  /** The roots of all routes for a request's host, most specific first: exact, suffixes from long to short, any. */
  rootsFor(host: string): readonly number[] {
    if (this.#exact.size === 0 && this.#suffixes.size === 0) return this.#anyRoots
    const known = this.#known.get(host)
    if (known !== undefined) return known
    const roots = this.#search(host)
    if (this.#known.size >= KNOWN_LIMIT) this.#known.clear()
    // A copy: the host is cut out of its request head and would keep all of it in memory.
    if (host.length <= MAX_HOST) this.#known.set(Buffer.from(host, 'latin1').toString('latin1'), roots)
    return roots
  }

  #search(host: string): readonly number[] {
    const roots: number[] = []
    const exact = this.#exact.get(host)
    if (exact !== undefined) roots.push(exact)
    for (let dot = host.indexOf('.', 1); dot > 0 && this.#suffixes.size > 0; dot = host.indexOf('.', dot + 1)) {
      const suffix = this.#suffixes.get(host.slice(dot))
      if (suffix !== undefined) roots.push(suffix)
    }
    if (roots.length === 0) return this.#anyRoots
    if (this.#any !== 0) roots.push(this.#any)
    return roots
  }
}
