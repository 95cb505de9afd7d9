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
  /** How far each endpoint is behind its share, in weights. In one array: a pick walks over all of them. */
  #credits: Float64Array = new Float64Array(0)
  #total = 0
  #even = false
  #cursor = 0
  #begun = false

  constructor(random: () => number) {
    this.#random = random
  }

  rebuild(endpoints: readonly Endpoint[], weights: Float64Array): void {
    // Kept on the endpoints between two lists, so that a change of one does not send all back to the start.
    for (let i = 0; i < this.#endpoints.length; i++) this.#endpoints[i]!.credit = this.#credits[i]!
    this.#credits = Float64Array.from(endpoints, (endpoint) => endpoint.credit)
    // They must add up to 0, or a newcomer would wait or take everything.
    const surplus = sum(this.#credits) / endpoints.length
    for (let i = 0; i < endpoints.length; i++) this.#credits[i]! -= surplus
    this.#total = sum(weights)
    this.#even = weights.every((weight) => weight === weights[0])
    this.#endpoints = endpoints
    this.#weights = weights
    if (!this.#begun) this.#begin(endpoints)
  }

  pick(_hash: number, avoid: Endpoint | null): Endpoint {
    if (this.#even) return this.#next(avoid)
    const endpoints = this.#endpoints
    const weights = this.#weights
    const credits = this.#credits
    let best = 0
    let most = Number.NEGATIVE_INFINITY
    for (let i = 0; i < credits.length; i++) {
      const credit = credits[i]! + weights[i]!
      credits[i] = credit
      if (credit > most && endpoints[i] !== avoid) {
        best = i
        most = credit
      }
    }
    credits[best]! -= this.#total
    return endpoints[best]!
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

function sum(numbers: Float64Array): number {
  return numbers.reduce((total, number) => total + number, 0)
}
