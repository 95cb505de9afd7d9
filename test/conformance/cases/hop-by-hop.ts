import {
  absent,
  bodyIs,
  chunked,
  either,
  forwarded,
  get,
  HELLO_CHUNKED,
  honestIdentity,
  lengthed,
  nowhere,
  present,
  type RequestCase,
  valueIs,
} from '../harness/request-case.ts'
import { fieldValue } from '../harness/wire.ts'

const rule = 'RFC 9110 7.6.1'
const fields = (...lines: string[]): string => get('/{T}', lines.map((text) => `${text}\r\n`).join(''))

/** Fields of one connection end at the edge, and so does everything that a Connection field names. */
export const hopByHopCases: readonly RequestCase[] = [
  forwarded('hop-named', rule, fields('Connection: X-Foo', 'X-Foo: 1'), absent('x-foo')),
  forwarded('hop-named-before', rule, fields('X-Foo: 1', 'Connection: X-Foo'), absent('x-foo')),
  forwarded('hop-named-other-case', rule, fields('Connection: x-fOO', 'X-Foo: 1'), absent('x-foo')),
  forwarded('hop-named-with-keep-alive', rule, fields('Connection: keep-alive, X-Foo', 'X-Foo: 1'), absent('x-foo')),
  forwarded('hop-named-with-close', rule, fields('Connection: close, X-Foo', 'X-Foo: 1'), absent('x-foo')),
  forwarded(
    'hop-named-no-spaces',
    rule,
    fields('Connection: close,X-Foo,X-Bar', 'X-Foo: 1', 'X-Bar: 1'),
    absent('x-foo'),
    absent('x-bar'),
  ),
  forwarded('hop-named-empty-members', rule, fields('Connection: ,, X-Foo ,', 'X-Foo: 1'), absent('x-foo')),
  forwarded('hop-named-tab', rule, fields('Connection: close,\tX-Foo\t', 'X-Foo: 1'), absent('x-foo')),
  forwarded(
    'hop-named-twice',
    rule,
    fields('Connection: X-Foo', 'Connection: X-Bar', 'X-Foo: 1', 'X-Bar: 1'),
    absent('x-foo'),
    absent('x-bar'),
  ),
  forwarded(
    'hop-named-second-line',
    rule,
    fields('Connection: keep-alive', 'Connection: X-Foo', 'X-Foo: 1'),
    absent('x-foo'),
  ),
  forwarded('hop-named-all-lines', rule, fields('Connection: X-Foo', 'X-Foo: 1', 'X-Foo: 2'), absent('x-foo')),
  forwarded(
    'hop-named-only-whole-names',
    rule,
    fields('Connection: X-Foo', 'X-Foo-Bar: 1', 'Foo: 1'),
    present('x-foo-bar'),
    present('foo'),
  ),
  forwarded('hop-named-cookie', rule, fields('Connection: Cookie', 'Cookie: a=1'), absent('cookie')),
  either(
    'hop-named-many',
    rule,
    fields(`Connection: ${Array.from({ length: 60 }, (_, i) => `X-${i}`).join(', ')}`, 'X-59: 1'),
    absent('x-59'),
  ),
  either('hop-named-token-junk', rule, fields('Connection: close;x, "y"')),
  either('hop-keep-alive', rule, fields('Connection: keep-alive', 'Keep-Alive: timeout=5'), absent('keep-alive')),
  either('hop-keep-alive-alone', rule, fields('Keep-Alive: timeout=5'), absent('keep-alive')),
  either('hop-proxy-connection', rule, fields('Proxy-Connection: keep-alive'), absent('proxy-connection')),
  either('hop-te', 'RFC 9110 10.1.4', fields('TE: gzip'), nowhere('gzip')),
  either('hop-te-trailers', 'RFC 9110 10.1.4', fields('Connection: TE', 'TE: trailers, deflate'), nowhere('deflate')),
  either('hop-upgrade-without-connection', 'RFC 9110 7.8', fields('Upgrade: websocket'), absent('upgrade')),
  either(
    'hop-upgrade-h2c',
    'RFC 9110 7.8: h2c hides requests from the edge',
    fields('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'),
    (request) => (/h2c/i.test(fieldValue(request, 'upgrade') ?? '') ? 'h2c was passed on' : null),
    absent('http2-settings'),
  ),
  either('hop-upgrade-h2c-list', 'RFC 9110 7.8', fields('Connection: Upgrade', 'Upgrade: websocket, h2c'), (request) =>
    /h2c/i.test(fieldValue(request, 'upgrade') ?? '') ? 'h2c was passed on' : null,
  ),
  either('hop-http2-settings', 'RFC 9113 3.1', fields('HTTP2-Settings: AAMAAABk'), absent('http2-settings')),
  either(
    'hop-trailer',
    'RFC 9110 6.6.2',
    chunked('5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n', 'Trailer: X-Sum\r\n'),
    bodyIs('hello'),
  ),
  either('hop-proxy-authorization', 'RFC 9110 11.7.2', fields('Proxy-Authorization: Basic eDp5')),

  // --- a client may not use Connection to remove what the edge must send
  either('hop-named-host', rule, fields('Connection: Host'), valueIs('host', 'a.test')),
  either('hop-named-forwarded-for', rule, fields('Connection: X-Forwarded-For'), honestIdentity),
  either('hop-named-forwarded-proto', rule, fields('Connection: X-Forwarded-Proto, X-Forwarded-Host'), honestIdentity),
  either(
    'hop-named-forwarded-for-case',
    rule,
    fields('Connection: close, x-FORWARDED-for', 'X-Forwarded-For: 6.6.6.6'),
    honestIdentity,
  ),
  either('hop-named-content-length', rule, lengthed('hello', 'Connection: Content-Length\r\n'), bodyIs('hello')),
  either(
    'hop-named-transfer-encoding',
    rule,
    chunked(HELLO_CHUNKED, 'Connection: Transfer-Encoding\r\n'),
    bodyIs('hello'),
  ),
  either('hop-named-authorization', rule, fields('Connection: Authorization', 'Authorization: Basic eDp5')),
  either('hop-named-connection', rule, fields('Connection: Connection, close')),
]
