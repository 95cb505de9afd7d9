import { lookup } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import { MIN_DNS_REFRESH_MS } from '../shared/settings.ts'
import { chooseFamily } from './address-family.ts'

/** Bounds what one DNS answer can make grow. */
const MAX_ADDRESSES = 64
const FAMILY_TIMEOUT_MS = 1000

/** Resolves a name to its IP addresses, or rejects. */
export type Lookup = (name: string) => Promise<readonly string[]>

/** The system's resolver, with its hosts file. */
export const systemLookup: Lookup = async (name) => {
  const answers = await lookup(name, { all: true, verbatim: true })
  return answers.map((answer) => answer.address)
}

/**
 * Keeps the addresses of one name and port up to date. Old ones stay while the name does not resolve: stale is better than none.
 * A name with IPv4 and IPv6 addresses uses those of the version that can be reached. One look-up at a time.
 */
export class NameWatch {
  readonly name: string
  readonly port: number
  /** Sorted. Empty until the first answer. */
  addresses: readonly string[] = []
  refreshMs: number
  readonly #lookup: Lookup
  readonly #onChange: () => void
  readonly #onProblem: (name: string, error: Error | null) => void
  #answer: readonly string[] = []
  #isUndecided = false
  #hasFailed = false
  #isClosed = false
  #timer: NodeJS.Timeout | null = null
  /** Settles after the first look-up, whatever its result. */
  readonly first: Promise<void>

  /**
   * Begins at once. `onChange` is called when `addresses` differ, never from the constructor.
   * @param onProblem called with the error when look-ups begin to fail, and with null when they work again.
   */
  constructor(
    name: string,
    port: number,
    refreshMs: number,
    lookupName: Lookup,
    onChange: () => void,
    onProblem: (name: string, error: Error | null) => void,
  ) {
    this.name = name
    this.port = port
    this.refreshMs = refreshMs
    this.#lookup = lookupName
    this.#onChange = onChange
    this.#onProblem = onProblem
    this.first = this.#refresh()
  }

  /** Stops; no callback comes after this. */
  close(): void {
    this.#isClosed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  async #refresh(): Promise<void> {
    try {
      const answer = [...new Set(await this.#lookup(this.name))].sort().slice(0, MAX_ADDRESSES)
      if (answer.length === 0) throw new Error(`${this.name} has no address`)
      await this.#take(answer)
      if (this.#hasFailed && !this.#isClosed) this.#onProblem(this.name, null)
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed && !this.#isClosed) this.#onProblem(this.name, asError(error))
      this.#hasFailed = true
    }
    if (this.#isClosed) return
    const isUrgent = this.#hasFailed || this.#isUndecided
    const delay = isUrgent ? MIN_DNS_REFRESH_MS : Math.max(MIN_DNS_REFRESH_MS, this.refreshMs)
    this.#timer = setTimeout(() => void this.#refresh(), delay)
    this.#timer.unref()
  }

  async #take(answer: readonly string[]): Promise<void> {
    if (!this.#isUndecided && isSame(answer, this.#answer)) return
    const addresses = await this.#reachable(answer)
    if (this.#isClosed) return
    this.#answer = answer
    if (isSame(addresses, this.addresses)) return
    this.addresses = addresses
    this.#onChange()
  }

  async #reachable(answer: readonly string[]): Promise<readonly string[]> {
    const four = answer.filter((address) => isIPv4(address))
    const six = answer.filter((address) => !isIPv4(address))
    this.#isUndecided = false
    if (four.length === 0) return six
    if (six.length === 0) return four
    const family = await chooseFamily(four[0]!, six[0]!, this.port, FAMILY_TIMEOUT_MS)
    this.#isUndecided = family === null
    return family === 6 ? six : four
  }
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((address, i) => address === right[i])
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
