import type { ReasonCode } from '../base/errors.ts'
import type { ConnectionInfo } from '../core/connection-info.ts'
import { Exchange, type ExchangeOwner } from '../core/exchange.ts'
import type { Outcome } from '../core/outcome.ts'
import { LocalReply } from '../core/reply.ts'
import { runLogHooks } from '../core/run-hooks.ts'
import type { Snapshot } from '../core/snapshot.ts'
import type { ClientStream } from '../http/client-stream.ts'
import type { CompiledRoute } from './compiled-route.ts'
import { identify } from './identity.ts'
import { readTarget } from './path/normalise.ts'
import { runRequestPolicies } from './run-policies.ts'
import { writeReply } from './write-reply.ts'

/** What the path is handed by its thread. */
export interface HandlerInputs {
  /** Milliseconds since 1970, with fractions. */
  readonly now: () => number
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly nextId: () => string
  /** The Date field line of this second. */
  readonly date: () => string
  /** Before the request is forwarded: the trace context to send. */
  readonly onStart: (exchange: Exchange) => void
  /** Once per exchange, at its end: the log line and the metrics. */
  readonly onEnd: (exchange: Exchange) => void
  /** A hook threw: for the process log. */
  readonly onDefect: (error: unknown) => void
}

/** THE PATH: every exchange of a thread, from its parsed head to its one log line, whatever it came in by. */
export class Handler implements ExchangeOwner {
  /** What new exchanges run against; replaced whole by a reload. */
  snapshot: Snapshot
  readonly #inputs: HandlerInputs

  constructor(snapshot: Snapshot, inputs: HandlerInputs) {
    this.snapshot = snapshot
    this.#inputs = inputs
  }

  handle(connection: ConnectionInfo, stream: ClientStream): void {
    const exchange = this.#open(connection, stream)
    identify(exchange)
    readTarget(exchange)
    this.#inputs.onStart(exchange)
    const miss = exchange.snapshot.matcher.match(exchange)
    if (miss !== null) {
      this.reply(exchange, missReply(exchange, miss))
      return
    }
    const policies = exchange.route?.chain.requestHeaders ?? null
    if (policies === null) this.#afterPolicies(exchange, undefined)
    else runRequestPolicies(policies, exchange, this.#inputs.onDefect, this.#continue)
  }

  /** A request that could not be read: answered and logged like any other. */
  refuse(connection: ConnectionInfo, stream: ClientStream, code: ReasonCode): void {
    const exchange = this.#open(connection, stream)
    exchange.client = connection.peerIp
    exchange.scheme = connection.scheme
    exchange.path = stream.head.target
    this.reply(exchange, new LocalReply(code))
  }

  reply(exchange: Exchange, reply: LocalReply): void {
    exchange.status = reply.status
    writeReply(exchange, reply, this.#inputs.date())
    this.ended(exchange, reply.code)
    exchange.stream.sendEnd('')
  }

  ended(exchange: Exchange, outcome: Outcome): void {
    exchange.outcome = outcome
    exchange.durationMs = this.#inputs.now() - exchange.startedMs
    runLogHooks(exchange)
    this.#inputs.onEnd(exchange)
  }

  defect(error: unknown): void {
    this.#inputs.onDefect(error)
  }

  #open(connection: ConnectionInfo, stream: ClientStream): Exchange {
    const exchange = new Exchange(connection, stream, this.snapshot, this)
    exchange.id = this.#inputs.nextId()
    exchange.startedMs = this.#inputs.now()
    return exchange
  }

  /** One function for the life of the thread: policies call it back. */
  readonly #continue = (exchange: Exchange, reply: LocalReply | undefined): void => this.#afterPolicies(exchange, reply)

  #afterPolicies(exchange: Exchange, refusal: LocalReply | undefined): void {
    const route = exchange.route as CompiledRoute
    const reply = refusal ?? pathReply(exchange) ?? route.reply ?? route.redirector?.reply(exchange) ?? null
    if (reply !== null) {
      this.reply(exchange, reply)
      return
    }
    exchange.targetOut = route.target.write(exchange)
    const split = route.split
    if (split === null) this.reply(exchange, new LocalReply('internal-error'))
    else split.choose(this.#inputs.random()).forward(exchange)
  }
}

function pathReply(exchange: Exchange): LocalReply | null {
  return exchange.pathRefusal === null ? null : new LocalReply(exchange.pathRefusal)
}

function missReply(exchange: Exchange, code: ReasonCode): LocalReply {
  if (exchange.pathRefusal !== null) return new LocalReply(exchange.pathRefusal)
  return new LocalReply(code, exchange.allow === null ? '' : `Allow: ${exchange.allow}\r\n`)
}
