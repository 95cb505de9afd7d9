import { isIP } from 'node:net'
import type { EndpointSettings } from '../shared/settings.ts'
import type { SlotTable } from '../shared/slot-table.ts'
import type { EndpointSpec } from './endpoint-spec.ts'
import { type EndpointUrl, parseEndpointUrl } from './endpoint-url.ts'
import { type Lookup, NameWatch } from './name-watch.ts'

export interface ResolverInputs {
  readonly slots: SlotTable
  /** `sharedNowMs`. */
  readonly now: () => number
  /** `systemLookup`, or another source of addresses. */
  readonly lookup: Lookup
  /** A new whole list: main sends it to the threads and to the prober. */
  readonly onChange: (list: readonly EndpointSpec[]) => void
  /** A name began to fail (its last addresses stay in use), or works again: null. Also told when an endpoint finds no slot. */
  readonly onProblem: (name: string, error: Error | null) => void
}

interface Configured {
  readonly settings: EndpointSettings
  readonly url: EndpointUrl
  /** Null for an IP address or a unix socket. */
  readonly watch: NameWatch | null
}

/**
 * Turns the configured endpoints of one upstream into addresses. Main only, one per upstream name, kept over reloads.
 * Every address of a name becomes an endpoint with the full weight of its entry. IP addresses and unix sockets need no look-up.
 */
export class EndpointResolver {
  /** The current list. */
  list: readonly EndpointSpec[] = []
  readonly #inputs: ResolverInputs
  #watches = new Map<string, NameWatch>()
  #configured: readonly Configured[] = []

  constructor(inputs: ResolverInputs) {
    this.#inputs = inputs
  }

  /**
   * Takes the endpoints of a configuration and calls `onChange` at once with what is known of them; names follow.
   * An URL that comes twice counts once. Throws a RangeError for a malformed URL, and then nothing changed.
   */
  update(endpoints: readonly EndpointSettings[], refreshMs: number): void {
    const unique = [...new Map(endpoints.map((settings) => [settings.url, settings])).values()]
    const parsed = unique.map((settings) => ({ settings, url: parseEndpointUrl(settings.url) }))
    const before = this.#watches
    this.#watches = new Map()
    this.#configured = parsed.map(({ settings, url }) => ({
      settings,
      url,
      watch: this.#watch(url, before, refreshMs),
    }))
    for (const [name, watch] of before) if (!this.#watches.has(name)) watch.close()
    this.#publish()
  }

  /** Waits until every name was looked up once, successfully or not, or until the time is over. */
  async ready(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs)
    })
    await Promise.race([timeout, Promise.all([...this.#watches.values()].map((watch) => watch.first))])
    clearTimeout(timer)
  }

  /** Stops all look-ups. */
  close(): void {
    for (const watch of this.#watches.values()) watch.close()
    this.#watches.clear()
  }

  #watch(url: EndpointUrl, before: Map<string, NameWatch>, refreshMs: number): NameWatch | null {
    if (url.unixPath !== null || isIP(url.host) !== 0) return null
    const key = `${url.host}:${url.port}`
    let watch = this.#watches.get(key) ?? before.get(key)
    if (watch === undefined) {
      const { lookup, onProblem } = this.#inputs
      watch = new NameWatch(url.host, url.port, refreshMs, lookup, () => this.#publish(), onProblem)
    }
    watch.refreshMs = refreshMs
    this.#watches.set(key, watch)
    return watch
  }

  #publish(): void {
    const wanted = this.#configured.flatMap(describe)
    const slots = this.#inputs.slots.assign(
      wanted.map((spec) => spec.key),
      this.#inputs.now(),
    )
    const list: EndpointSpec[] = []
    wanted.forEach((spec, i) => {
      if (slots[i]! >= 0) list.push({ ...spec, slot: slots[i]! })
      else
        this.#inputs.onProblem(
          spec.label,
          new RangeError(`${spec.key} is left out: too many endpoints in its upstream`),
        )
    })
    this.list = list
    this.#inputs.onChange(list)
  }
}

function describe({ settings, url, watch }: Configured): EndpointSpec[] {
  const { url: text, weight, zone } = settings
  if (watch !== null) {
    return watch.addresses.map((address) => ({ key: `${text}#${address}`, ...url, address, weight, zone, slot: -1 }))
  }
  return [{ key: text, ...url, address: url.unixPath === null ? url.host : null, weight, zone, slot: -1 }]
}
