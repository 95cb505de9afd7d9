import { REASONS } from '../base/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { LocalReply } from '../core/reply.ts'
import { runResponseHooks } from '../core/run-hooks.ts'
import { DROPPED, fieldTableOf } from '../http/field-table.ts'
import { ResponseHead } from '../http/message.ts'
import { STATUS_CODES } from '../http/status-codes.ts'

/**
 * Sends an answer made by the edge: a problem document (RFC 9457) unless the reply brings its own body.
 *
 * The response hooks of the route's policies run, so that a refusal carries what every answer of the route carries.
 * The request's sink ends with it; what is left of the request body is the stream's business.
 */
export function writeReply(exchange: Exchange, reply: LocalReply, date: string): void {
  const { stream } = exchange
  const { status, code } = reply
  const problem = reply.body === null && status !== 304 && status !== 204
  const body = problem ? problemText(status, code, exchange.id) : (reply.body ?? '')
  let lines = reply.headers
  if (problem) lines += 'Content-Type: application/problem+json\r\nCache-Control: no-store\r\n'
  lines += `${date}X-Request-Id: ${exchange.id}\r\n`
  const hooks = exchange.route?.chain.responseHeaders ?? null
  if (hooks !== null) lines = throughHooks(exchange, status, lines)
  const bytes = Buffer.byteLength(body)
  const bodyless = exchange.request.method === 'HEAD' || status === 204 || status === 304
  stream.sendHead(
    status,
    STATUS_CODES[status] ?? 'Unknown',
    lines,
    bodyless && status !== 200 && !problem ? -1 : bytes,
    bodyless,
    false,
  )
  if (!bodyless && bytes > 0) {
    const text = Buffer.from(body)
    stream.sendBody(text, 0, text.length)
    exchange.bytesOut = bytes
  }
}

function problemText(status: number, code: LocalReply['code'], id: string): string {
  return `{"status":${status},"title":${JSON.stringify(REASONS[code].title)},"code":"${code}","id":"${id}"}`
}

function throughHooks(exchange: Exchange, status: number, lines: string): string {
  const fields = fieldTableOf(
    lines
      .split('\r\n')
      .filter((line) => line !== '')
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const),
  )
  const head = new ResponseHead(fields)
  head.status = status
  // The edge's own answer is safe to send as it was, without the changes that failed.
  return runResponseHooks(exchange, head) ? fields.write(DROPPED) : lines
}
