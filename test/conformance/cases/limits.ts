import {
  bodyIs,
  bodyRefused,
  chunked,
  forwarded,
  get,
  HOST,
  lengthed,
  on,
  post,
  type RequestCase,
  refused,
  sequence,
} from '../harness/request-case.ts'

const lines = (count: number): string => Array.from({ length: count }, (_, i) => `X-${i}: y\r\n`).join('')
const tooLong = 'x'.repeat(1025)
const just = 'x'.repeat(1024)

/** What is over a limit gets its own status; the small listener takes 4 KiB heads, 20 fields, 1 KiB targets and bodies. */
export const limitCases: readonly RequestCase[] = [
  refused('limit-target', 'RFC 9110 15.5.15', get(`/{T}?${'q'.repeat(1100)}`), 414),
  refused('limit-target-path', 'RFC 9110 15.5.15', get(`/{T}/${'p'.repeat(1100)}`), 414),
  refused('limit-target-absolute', 'RFC 9110 15.5.15', get(`http://a.test/{T}/${'p'.repeat(1100)}`), 414),
  refused('limit-target-post', 'RFC 9110 15.5.15', lengthed('hello', '', `/{T}?${'q'.repeat(1100)}`), 414),
  forwarded('limit-target-under', 'RFC 9110 15.5.15', get(`/{T}?${'q'.repeat(900)}`)),
  refused('limit-fields', 'RFC 6585 5', get('/{T}', lines(30)), 431),
  forwarded('limit-fields-under', 'RFC 6585 5', get('/{T}', lines(15))),
  refused('limit-head', 'RFC 6585 5', get('/{T}', `X: ${'v'.repeat(5000)}\r\n`), 431),
  refused(
    'limit-head-in-segments',
    'RFC 6585 5',
    [`GET /{T} HTTP/1.1\r\n${HOST}`, ...Array.from({ length: 10 }, (_, i) => `X-${i}: ${'v'.repeat(600)}\r\n`), '\r\n'],
    431,
  ),
  refused('limit-head-unfinished', 'RFC 6585 5', [`GET /{T} HTTP/1.1\r\n${HOST}`, `X: ${'v'.repeat(5000)}`], 431),
  forwarded('limit-head-under', 'RFC 6585 5', get('/{T}', `X: ${'v'.repeat(2500)}\r\n`)),
  forwarded('limit-body-exact', 'RFC 9110 15.5.14', lengthed(just), bodyIs(just)),
  refused('limit-body', 'RFC 9110 15.5.14', lengthed(tooLong), 413),
  refused(
    'limit-body-announced',
    'RFC 9110 15.5.14: refused before it is sent',
    post('Content-Length: 1000000000\r\n'),
    413,
  ),
  refused('limit-body-expect', 'RFC 9110 10.1.1', post('Content-Length: 1000000000\r\nExpect: 100-continue\r\n'), 413),
  bodyRefused('limit-body-chunked', 'RFC 9110 15.5.14', chunked(`401\r\n${tooLong}\r\n0\r\n\r\n`), 413),
  bodyRefused('limit-body-chunk-announced', 'RFC 9110 15.5.14', chunked('FFFFFF\r\n'), 408, 413),
  bodyRefused('limit-body-many-chunks', 'RFC 9110 15.5.14', chunked(`${'2\r\nxx\r\n'.repeat(513)}0\r\n\r\n`), 413),
  forwarded('limit-body-chunked-exact', 'RFC 9110 15.5.14', chunked(`400\r\n${just}\r\n0\r\n\r\n`), bodyIs(just)),
  sequence(
    'limit-body-is-no-request',
    'RFC 9110 15.5.14',
    lengthed(`${tooLong}\r\n\r\n${get('/x-smuggled')}`, '', '/{T}-1'),
    [0, 0],
    { never: '-smuggled' },
  ),
].map((testCase) => on('small', testCase))
