import { randomBytes, randomInt } from 'node:crypto'
import { flat } from '../base/bytes.ts'

/** Two characters a number below 1,296 = 36 * 36. */
const PAIRS: readonly string[] = Array.from({ length: 1296 }, (_, n) => n.toString(36).padStart(2, '0'))
/** 36^6: how many blocks of 1,296 ids one prefix gives. At 100,000 a second that lasts for 326 days. */
const BLOCKS = 36 ** 6

/**
 * Makes request ids: 20 characters of [0-9a-z], unique across threads and restarts. One generator a thread.
 *
 * The first 12 characters are random for the generator (62 bits from the system's random source). The next 6 number a block:
 * blocks come in a scrambled order, each once. The last 2 walk through all pairs in an order of the generator's own. So no
 * id comes twice, two ids tell nobody at a glance how many requests lay between, and nearly every id is two strings that
 * are there already. They are names, not secrets.
 */
export class RequestIds {
  readonly #pairs: readonly string[] = shuffled(PAIRS)
  #prefix = ''
  /** Prefix and block number, in one piece. */
  #block = ''
  #at = 0
  #step = 1
  #blocksLeft = 0
  #pairsLeft = 0

  next(): string {
    if (this.#pairsLeft === 0) this.#nextBlock()
    return this.#block + (this.#pairs[--this.#pairsLeft] as string)
  }

  #nextBlock(): void {
    if (this.#blocksLeft === 0) this.#renew()
    this.#blocksLeft--
    this.#pairsLeft = PAIRS.length
    this.#at += this.#step
    if (this.#at >= BLOCKS) this.#at -= BLOCKS
    this.#block = flat(this.#prefix + this.#at.toString(36).padStart(6, '0'))
  }

  #renew(): void {
    let prefix = ''
    while (prefix.length < 12) {
      for (const byte of randomBytes(16)) {
        // 252 is the last multiple of 36 in a byte: above it some characters would come more often.
        if (byte < 252 && prefix.length < 12) prefix += (byte % 36).toString(36)
      }
    }
    this.#prefix = prefix
    this.#at = randomInt(BLOCKS)
    // A step that shares no factor with 36^6 (neither 2 nor 3) visits every block before any comes again.
    let step = randomInt(BLOCKS / 2, BLOCKS)
    while (step % 2 === 0 || step % 3 === 0) step++
    this.#step = step % BLOCKS
    this.#blocksLeft = BLOCKS
  }
}

function shuffled(list: readonly string[]): string[] {
  const order = [...list]
  for (let i = order.length - 1; i > 0; i--) {
    const j = randomInt(i + 1)
    const kept = order[i] as string
    order[i] = order[j] as string
    order[j] = kept
  }
  return order
}
