import type { Exchange } from '../../../core/exchange.ts'
import { HOP, IDENTITY } from '../../../http/field-names.ts'
import { DROPPED } from '../../../http/field-table.ts'
import { CHUNKED } from '../../../http/message.ts'

/**
 * The head of a request as it is sent to an endpoint.
 *
 * Fields are passed on as they came, but for those of one connection (RFC 9110 7.6.1) and those that say who called:
 * these come from the exchange. `host` replaces the client's Host where the route says so.
 */
export function requestText(exchange: Exchange, host: string | null): string {
  const { request, connection } = exchange
  const fields = request.fields
  const drop = connection.peerTrusted ? HOP | DROPPED : HOP | IDENTITY | DROPPED
  const authority = host ?? exchange.authority
  let text = `${request.method} ${exchange.targetOut} HTTP/1.1\r\nHost: ${authority}\r\n${fields.write(drop)}${exchange.forwardedFields}`
  if (request.bodyLength === CHUNKED) text += 'Transfer-Encoding: chunked\r\n'
  if (request.upgrade !== null) text += `Connection: Upgrade\r\nUpgrade: ${request.upgrade}\r\n`
  else if (request.teTrailers) text += 'TE: trailers\r\nConnection: TE\r\n'
  return `${text}\r\n`
}
