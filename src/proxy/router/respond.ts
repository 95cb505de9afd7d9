import { LocalReply } from '../../core/reply.ts'
import type { FixedResponse } from '../../core/route.ts'
import { HOP, knownFieldByName } from '../../http/field-names.ts'
import { isFieldValue } from '../../http/field-table.ts'

/**
 * Compiles a route's fixed answer, once: the same reply is given to every request. A body without a Content-Type of its
 * own is sent as UTF-8 text. Throws a RangeError for a status outside 200 to 599, a body where HTTP has none (204, 205,
 * 304), and header fields that are malformed or belong to the framing.
 */
export function compileRespond(respond: FixedResponse): LocalReply {
  const { status, body } = respond
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(`respond.status ${status} is not between 200 and 599`)
  }
  if (body !== '' && (status === 204 || status === 205 || status === 304)) {
    throw new RangeError(`respond.body: a ${status} answer has no body`)
  }
  let headers = ''
  let typed = false
  for (const [name, value] of respond.headers) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) || !isFieldValue(value)) {
      throw new RangeError(`respond.headers: "${name}" is not a valid header field`)
    }
    const known = knownFieldByName(name)
    if (known !== null && ((known.flags & HOP) !== 0 || FRAMING.includes(known.name))) {
      throw new RangeError(`respond.headers: "${name}" is written by the edge itself`)
    }
    if (name.toLowerCase() === 'content-type') typed = true
    headers += `${name}: ${value}\r\n`
  }
  if (!typed && body !== '') headers += 'Content-Type: text/plain; charset=utf-8\r\n'
  return new LocalReply('fixed-response', headers, status, body)
}

const FRAMING: readonly string[] = ['content-length', 'trailer', 'host']
