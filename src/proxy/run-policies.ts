import type { ReasonCode } from '../base/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { HookResult, Policy } from '../core/policy.ts'
import { LocalReply } from '../core/reply.ts'
import type { RequestSink } from '../http/client-stream.ts'

/** Called when all policies let the exchange pass (undefined) or one answered. */
export type AfterPolicies = (exchange: Exchange, reply: LocalReply | undefined) => void

/**
 * Runs the request hooks in order. Stays synchronous until a hook returns a promise; a hook that throws or rejects
 * refuses the exchange (`policy-failed`). A client that leaves meanwhile ends the exchange.
 */
export function runRequestPolicies(
  policies: readonly Policy[],
  exchange: Exchange,
  onDefect: (error: unknown) => void,
  after: AfterPolicies,
): void {
  for (let i = 0; i < policies.length; i++) {
    const policy = policies[i] as Policy
    let result: HookResult
    try {
      result = policy.onRequestHeaders?.(exchange)
    } catch (error) {
      onDefect(error)
      result = new LocalReply('policy-failed')
    }
    if (result === undefined) continue
    // Not within the try: what fails later is not the hook's fault, and must not be answered twice.
    if (result instanceof Promise) void new PolicyWait(policies, i, exchange, onDefect, after).until(result)
    else after(exchange, result)
    return
  }
  after(exchange, undefined)
}

/** An exchange whose policy waits for I/O: watches its client meanwhile. */
class PolicyWait implements RequestSink {
  readonly #policies: readonly Policy[]
  readonly #index: number
  readonly #exchange: Exchange
  readonly #onDefect: (error: unknown) => void
  readonly #after: AfterPolicies
  #over = false

  constructor(
    policies: readonly Policy[],
    index: number,
    exchange: Exchange,
    onDefect: (error: unknown) => void,
    after: AfterPolicies,
  ) {
    this.#policies = policies
    this.#index = index
    this.#exchange = exchange
    this.#onDefect = onDefect
    this.#after = after
  }

  async until(result: Promise<LocalReply | undefined>): Promise<void> {
    this.#exchange.stream.setSink(this)
    let reply: LocalReply | undefined
    try {
      reply = await result
    } catch (error) {
      this.#onDefect(error)
      reply = new LocalReply('policy-failed')
    }
    if (this.#over) return
    this.#over = true
    if (reply !== undefined) this.#after(this.#exchange, reply)
    else runRequestPolicies(this.#policies.slice(this.#index + 1), this.#exchange, this.#onDefect, this.#after)
  }

  onGone(code: ReasonCode): void {
    if (this.#over) return
    this.#over = true
    this.#exchange.owner.ended(this.#exchange, code)
  }

  // The body does not flow before somebody takes it.
  onBody(): void {}
  onBodyEnd(): void {}
  onReadDone(): void {}
  onDrain(): void {}
  onBodyFailed(code: ReasonCode): void {
    if (this.#over) return
    this.#over = true
    this.#exchange.owner.reply(this.#exchange, new LocalReply(code))
  }
}
