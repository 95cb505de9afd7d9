import type { ResponseHead } from '../http/message.ts'
import type { Exchange } from './exchange.ts'
import { LocalReply } from './reply.ts'

// A hook that throws could not check or change what it was there for, so nothing passes it (style rule 23).

/** Runs the hooks of one attempt: what the first one answers, `policy-failed` when one throws, else undefined. */
export function runUpstreamHooks(exchange: Exchange): LocalReply | undefined {
  const policies = exchange.route?.chain.upstreamRequest ?? null
  if (policies === null) return undefined
  try {
    for (const policy of policies) {
      const reply = policy.onUpstreamRequest?.(exchange)
      if (reply !== undefined) return reply
    }
  } catch (error) {
    exchange.owner.defect(error)
    return new LocalReply('policy-failed')
  }
  return undefined
}

/** Runs the response hooks over a head. False when one threw: the head must not be sent. */
export function runResponseHooks(exchange: Exchange, head: ResponseHead): boolean {
  const policies = exchange.route?.chain.responseHeaders ?? null
  if (policies === null) return true
  try {
    for (const policy of policies) policy.onResponseHeaders?.(exchange, head)
    return true
  } catch (error) {
    exchange.owner.defect(error)
    return false
  }
}

/** Runs the log hooks; the log line is written whatever they do. */
export function runLogHooks(exchange: Exchange): void {
  const policies = exchange.route?.chain.log ?? null
  if (policies === null) return
  for (const policy of policies) {
    try {
      policy.onLog?.(exchange)
    } catch (error) {
      exchange.owner.defect(error)
    }
  }
}
