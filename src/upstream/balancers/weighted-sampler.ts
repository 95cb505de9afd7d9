/**
 * Draws indexes with probabilities given by weights, in constant time (alias method: each index keeps part of its own share
 * and lends the rest to one other).
 */
export class WeightedSampler {
  readonly #random: () => number
  #size = 0
  /** Null when all weights are equal. */
  #keep: Float64Array | null = null
  #alias: Int32Array = new Int32Array(0)

  /** @param random uniform in [0, 1). */
  constructor(random: () => number) {
    this.#random = random
  }

  /** Takes new weights, at least one, all > 0. */
  rebuild(weights: Float64Array): void {
    this.#size = weights.length
    this.#keep = weights.every((weight) => weight === weights[0]) ? null : this.#buildTable(weights)
  }

  /** An index, 0 to the number of weights - 1. */
  draw(): number {
    const point = this.#random() * this.#size
    const index = point | 0
    return this.#keep === null || point - index < this.#keep[index]! ? index : this.#alias[index]!
  }

  #buildTable(weights: Float64Array): Float64Array {
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    const keep = weights.map((weight) => (weight * weights.length) / total)
    const alias = new Int32Array(weights.length)
    const small: number[] = []
    const large: number[] = []
    for (let index = 0; index < keep.length; index++) (keep[index]! < 1 ? small : large).push(index)
    while (small.length > 0 && large.length > 0) {
      const poor = small.pop()!
      const rich = large.pop()!
      alias[poor] = rich
      keep[rich] = keep[rich]! - (1 - keep[poor]!)
      ;(keep[rich]! < 1 ? small : large).push(rich)
    }
    // What remains is 1 but for rounding.
    for (const index of small) keep[index] = 1
    for (const index of large) keep[index] = 1
    this.#alias = alias
    return keep
  }
}
