import type { Endpoint } from '../endpoints/endpoint.ts'
import type { Balancer } from './balancer.ts'
import { hashText, mix } from './hash-text.ts'

/** Fixed for all upstreams and versions: another number would move nearly all keys. 256 endpoints have 256 buckets each. */
const BUCKETS = 65_536
const NONE = -1

/**
 * Consistent hash by weighted rendezvous: each bucket of keys belongs to the endpoint with the best score for it.
 *
 * An endpoint that leaves moves only its own buckets, one that comes takes only its own, and all threads and processes agree.
 * A bucket's owner is computed at its first use after a change and then read from a table.
 */
export class HashBalancer implements Balancer {
  readonly #loadBound: number | null
  readonly #owners = new Int16Array(BUCKETS)
  #endpoints: readonly Endpoint[] = []
  #weights: Float64Array = new Float64Array(0)
  #totalWeight = 0
  #seeds: Int32Array = new Int32Array(0)

  /** @param loadBound how far over its share of all running requests an endpoint may be, > 1; null: no bound. */
  constructor(loadBound: number | null) {
    this.#loadBound = loadBound
  }

  rebuild(endpoints: readonly Endpoint[], weights: Float64Array): void {
    this.#endpoints = endpoints
    this.#weights = weights
    this.#totalWeight = weights.reduce((sum, weight) => sum + weight, 0)
    this.#seeds = new Int32Array(2 * endpoints.length)
    endpoints.forEach((endpoint, i) => {
      // Two halves: endpoints with one common half must still differ.
      this.#seeds[2 * i] = hashText(endpoint.key)
      this.#seeds[2 * i + 1] = hashText(`${endpoint.key}+`)
    })
    this.#owners.fill(NONE)
  }

  pick(hash: number, avoid: Endpoint | null): Endpoint {
    const bucket = mix(hash) & (BUCKETS - 1)
    let index = this.#owners[bucket]!
    if (index === NONE) {
      index = this.#best(bucket, null, Number.POSITIVE_INFINITY)
      this.#owners[bucket] = index
    }
    const owner = this.#endpoints[index]!
    if (this.#loadBound !== null) return this.#pickBounded(bucket, owner, index, avoid)
    if (owner !== avoid || this.#endpoints.length === 1) return owner
    return this.#endpoints[this.#best(bucket, avoid, Number.POSITIVE_INFINITY)]!
  }

  observe(): void {}

  failed(): void {}

  #pickBounded(bucket: number, owner: Endpoint, index: number, avoid: Endpoint | null): Endpoint {
    let running = 1
    for (let i = 0; i < this.#endpoints.length; i++) running += this.#endpoints[i]!.inFlight
    const perWeight = (this.#loadBound! * running) / this.#totalWeight
    if (owner !== avoid && owner.inFlight < Math.ceil(perWeight * this.#weights[index]!)) return owner
    const next = this.#best(bucket, avoid, perWeight)
    return next === NONE ? owner : this.#endpoints[next]!
  }

  /** The endpoint with the best score that is not `avoid` and runs less than its bound; NONE if there is none. */
  #best(bucket: number, avoid: Endpoint | null, perWeight: number): number {
    const mixed = mix(bucket + 0x9e3779b9)
    let best = NONE
    let bestScore = Number.POSITIVE_INFINITY
    for (let i = 0; i < this.#endpoints.length; i++) {
      const endpoint = this.#endpoints[i]!
      const weight = this.#weights[i]!
      if (endpoint === avoid) continue
      if (perWeight !== Number.POSITIVE_INFINITY && endpoint.inFlight >= Math.ceil(perWeight * weight)) continue
      const bits = mix(mix(mixed ^ this.#seeds[2 * i]!) ^ this.#seeds[2 * i + 1]!) >>> 0
      // The smallest of exponential variates with rates w1, w2, … is the ith with probability wi / sum.
      const score = -Math.log((bits + 0.5) / 0x1_0000_0000) / weight
      if (score < bestScore) {
        bestScore = score
        best = i
      }
    }
    return best
  }
}
