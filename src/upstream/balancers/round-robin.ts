import type { Endpoint } from '../endpoints/endpoint.ts'
import type { Balancer } from './balancer.ts'

/**
 * Smooth weighted round-robin: over any run, each endpoint is within one request of its share, and heavy ones are
 * not served in bursts. Each pick gives everybody its weight and takes the sum of all from the chosen one.
 * Threads begin at different places, else each endpoint would get the first requests of all threads at once.
 */
export class RoundRobinBalancer implements Balancer {
  readonly #random: () => number
  #endpoints: readonly Endpoint[] = []
  #weights: Float64Array = new Float64Array(0)
  #total = 0
  #even = false
  #cursor = 0
  #begun = false

  constructor(random: () => number) {
    this.#random = random
  }

  rebuild(endpoints: readonly Endpoint[], weights: Float64Array): void {
    // Credits must add up to 0, or a newcomer would wait or take everything.
    let credits = 0
    this.#total = 0
    this.#even = true
    for (let i = 0; i < endpoints.length; i++) {
      this.#total += weights[i]!
      credits += endpoints[i]!.credit
      if (weights[i] !== weights[0]) this.#even = false
    }
    for (const endpoint of endpoints) endpoint.credit -= credits / endpoints.length
    this.#endpoints = endpoints
    this.#weights = weights
    if (!this.#begun) this.#begin(endpoints)
  }

  pick(_hash: number, avoid: Endpoint | null): Endpoint {
    if (this.#even) return this.#next(avoid)
    const endpoints = this.#endpoints
    const weights = this.#weights
    let best: Endpoint | null = null
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[i]!
      endpoint.credit += weights[i]!
      if (endpoint !== avoid && (best === null || endpoint.credit > best.credit)) best = endpoint
    }
    best ??= endpoints[0]!
    best.credit -= this.#total
    return best
  }

  observe(): void {}

  failed(): void {}

  #next(avoid: Endpoint | null): Endpoint {
    const endpoint = this.#step()
    return endpoint === avoid ? this.#step() : endpoint
  }

  #step(): Endpoint {
    this.#cursor = this.#cursor + 1 < this.#endpoints.length ? this.#cursor + 1 : 0
    return this.#endpoints[this.#cursor]!
  }

  #begin(endpoints: readonly Endpoint[]): void {
    this.#begun = true
    const start = Math.floor(this.#random() * endpoints.length)
    for (let i = 0; i < start; i++) this.pick(0, null)
  }
}
