import { list, mapOf, pattern, text } from './kit.ts'

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/

/** Fields that frame a message or belong to one connection: the edge writes them itself (RFC 9110 7.6.1, RFC 9112 6). */
const FRAMING =
  /^(?:connection|content-length|expect|host|keep-alive|proxy-authenticate|proxy-authorization|proxy-connection|te|trailer|transfer-encoding|upgrade)$/i

/** The name of a header field (RFC 9110 5.1). */
export const fieldName = () => pattern('header name', TOKEN, 'expected the name of a header field')

/** The name of a header field that a policy may set or remove: any but those which frame the message. */
export const freeFieldName = () =>
  fieldName().refine((name) => !FRAMING.test(name), {
    error: 'is written by the edge itself|fields of the connection and of the framing cannot be set or removed',
  })

/** The value of a header field (RFC 9110 5.5): printable ASCII, tabs and spaces inside. May be a reference to a secret. */
export const fieldValue = () =>
  text('expected a text').refine(
    (value) => /^[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/.test(value),
    {
      error: 'is not a header value|printable characters, no space at either end',
    },
  )

/** Header fields to write, by name. */
export const fieldMap = () => mapOf(freeFieldName(), fieldValue())

/** Header field names to take out. */
export const fieldNames = () => list(freeFieldName())

/** A request method: upper case, and not one that the edge refuses (RFC 9110 9.3.6, 9.3.8). */
export const method = () =>
  pattern('method', TOKEN, 'expected a method, such as GET')
    .refine((value) => value === value.toUpperCase(), {
      error: 'is not in upper case|methods are case-sensitive: write GET, not get',
    })
    .refine((value) => value !== 'CONNECT' && value !== 'TRACE', {
      error: 'is never forwarded|the edge refuses CONNECT and TRACE',
    })
