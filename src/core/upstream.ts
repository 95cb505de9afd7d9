import type { Exchange } from './exchange.ts'

/** A named group of endpoints that can answer an exchange: over HTTP today, by other transports later. */
export interface Upstream {
  readonly name: string
  /** Takes the exchange over: it ends with a response, a local reply or an abort, always. Never throws. */
  forward(exchange: Exchange): void
}
