import type { WeightedUpstream } from '../../core/route.ts'
import type { Upstream } from '../../core/upstream.ts'

/** A compiled weighted choice among upstreams. */
export interface Split {
  /** The upstream for a number drawn evenly from 0 (included) to 1 (excluded). */
  choose(random: number): Upstream
}

/** Compiles a route's targets. Throws a RangeError when there are none or a weight is not a finite number above 0. */
export function compileSplit(targets: readonly WeightedUpstream[]): Split {
  if (targets.length === 0) throw new RangeError('split has no upstream')
  const bounds = new Float64Array(targets.length)
  let sum = 0
  for (const [i, { upstream, weight }] of targets.entries()) {
    if (!(weight > 0 && Number.isFinite(weight))) {
      throw new RangeError(`split: weight ${weight} of "${upstream.name}" is not a number above 0`)
    }
    sum += weight
    bounds[i] = sum
  }
  const upstreams = targets.map((target) => target.upstream)
  return targets.length === 1 ? new Single(upstreams[0]) : new Weighted(upstreams, bounds)
}

class Single implements Split {
  readonly #upstream: Upstream

  constructor(upstream: Upstream) {
    this.#upstream = upstream
  }

  choose(): Upstream {
    return this.#upstream
  }
}

class Weighted implements Split {
  readonly #upstreams: readonly Upstream[]
  /** Running sums of the weights. */
  readonly #bounds: Float64Array

  constructor(upstreams: readonly Upstream[], bounds: Float64Array) {
    this.#upstreams = upstreams
    this.#bounds = bounds
  }

  choose(random: number): Upstream {
    const last = this.#bounds.length - 1
    const point = random * this.#bounds[last]
    let i = 0
    while (i < last && point >= this.#bounds[i]) i++
    return this.#upstreams[i]
  }
}
