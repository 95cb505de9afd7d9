import type { EndpointSpec } from '../endpoints/endpoint-spec.ts'
import { Health, type UpstreamCells } from '../shared/cells.ts'
import { healthOf, setHealth } from '../shared/endpoint-cells.ts'
import { type ProbeSettings, probe } from './probe.ts'

/** An endpoint that became healthy or unhealthy, for the log. */
export interface HealthChange {
  /** `host:port`. */
  readonly endpoint: string
  readonly address: string | null
  readonly isHealthy: boolean
  /** What was wrong, such as `status 500`, `timeout` or a connection error; null when healthy. */
  readonly problem: string | null
}

export interface ProberInputs {
  /** Uniform in [0, 1), for the jitter. */
  readonly random: () => number
  /** `sharedNowMs`. */
  readonly now: () => number
  readonly onChange: (change: HealthChange) => void
}

/** Part of the interval by which a check may come early, so that endpoints and edges do not check in step. */
const JITTER = 0.1

/**
 * The active health checks of one upstream: one check per endpoint at a time, for the whole process. Main only.
 *
 * An endpoint counts as up until its first check, which runs at once and decides alone; after that it takes `unhealthyAfter`
 * failed or `healthyAfter` good ones in a row. What the checks find stands in the cells, where all threads see it.
 */
export class Prober {
  readonly #cells: UpstreamCells
  readonly #inputs: ProberInputs
  #settings: ProbeSettings
  #watched = new Map<string, Watched>()

  constructor(cells: UpstreamCells, settings: ProbeSettings, inputs: ProberInputs) {
    this.#cells = cells
    this.#settings = settings
    this.#inputs = inputs
  }

  /** Takes the settings of a reload for the checks to come. */
  configure(settings: ProbeSettings): void {
    this.#settings = settings
  }

  /** Takes a new list: endpoints that stay go on as they are, new ones are checked at once. */
  update(list: readonly EndpointSpec[]): void {
    const before = this.#watched
    this.#watched = new Map()
    for (const spec of list) {
      const known = before.get(spec.key)
      if (known !== undefined && known.spec.slot === spec.slot) {
        this.#watched.set(spec.key, known)
        before.delete(spec.key)
        continue
      }
      const watched = new Watched(spec)
      this.#watched.set(spec.key, watched)
      this.#check(watched)
    }
    for (const watched of before.values()) watched.stop()
  }

  /** Stops all checks and forgets what they found: without checks every endpoint counts as up. */
  close(): void {
    for (const watched of this.#watched.values()) {
      watched.stop()
      setHealth(this.#cells, watched.spec.slot, Health.UNKNOWN, this.#inputs.now())
    }
    this.#watched.clear()
  }

  #check(watched: Watched): void {
    const begunMs = this.#inputs.now()
    watched.giveUp = probe(watched.spec, this.#settings, (problem) => {
      watched.giveUp = null
      this.#judge(watched, problem)
      const { intervalMs } = this.#settings.check
      const waitMs = intervalMs * (1 - JITTER * this.#inputs.random()) - (this.#inputs.now() - begunMs)
      watched.timer = setTimeout(() => this.#check(watched), Math.max(1, waitMs))
      watched.timer.unref()
    })
  }

  #judge(watched: Watched, problem: string | null): void {
    const { healthyAfter, unhealthyAfter } = this.#settings.check
    const isGood = problem === null
    watched.streak = isGood === watched.wasGood ? watched.streak + 1 : 1
    watched.wasGood = isGood
    const { slot, label, address } = watched.spec
    const isFirst = healthOf(this.#cells, slot) === Health.UNKNOWN
    if (!isFirst && watched.streak < (isGood ? healthyAfter : unhealthyAfter)) return
    if (!setHealth(this.#cells, slot, isGood ? Health.UP : Health.DOWN, this.#inputs.now())) return
    // That a new endpoint works is no news.
    if (isFirst && isGood) return
    this.#inputs.onChange({ endpoint: label, address, isHealthy: isGood, problem })
  }
}

/** One endpoint under watch. */
class Watched {
  readonly spec: EndpointSpec
  wasGood = true
  streak = 0
  giveUp: (() => void) | null = null
  timer: NodeJS.Timeout | null = null

  constructor(spec: EndpointSpec) {
    this.spec = spec
  }

  stop(): void {
    this.giveUp?.()
    if (this.timer !== null) clearTimeout(this.timer)
  }
}
