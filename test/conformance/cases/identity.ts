import {
  both,
  forwarded,
  get,
  honestIdentity,
  nowhere,
  on,
  type RequestCase,
  valueIs,
} from '../harness/request-case.ts'
import { fieldValue } from '../harness/wire.ts'

const fields = (...lines: string[]): string => get('/{T}', lines.map((text) => `${text}\r\n`).join(''))
const forge = (id: string, ...lines: string[]): RequestCase =>
  forwarded(
    `forge-${id}`,
    'RFC 7239 8.1: fields of a stranger are not to be believed',
    fields(...lines),
    honestIdentity,
  )

/** The right-most address that no trusted proxy has. */
const behind = (id: string, client: string, ...lines: string[]): RequestCase =>
  on(
    'behind',
    forwarded(`trust-${id}`, 'RFC 7239 5.2, 8.1', fields(...lines), (request) => {
      const sent = fieldValue(request, 'x-forwarded-for')
        ?.split(',')
        .map((part) => part.trim())
      return sent?.includes(client) === true && !sent.slice(0, sent.indexOf(client)).includes('6.6.6.6')
        ? null
        : `X-Forwarded-For is ${sent ?? 'absent'}, the client is ${client}`
    }),
  )

/** Who called is resolved once, and no client can say it is somebody else. */
export const identityCases: readonly RequestCase[] = [
  forwarded('forge-nothing', 'RFC 7239', fields('X: y'), both(honestIdentity, valueIs('x-forwarded-for', '127.0.0.1'))),
  forge('x-forwarded-for', 'X-Forwarded-For: 6.6.6.6'),
  forge('x-forwarded-for-last', 'X-Forwarded-For: 1.2.3.4, 6.6.6.6'),
  forge('x-forwarded-for-loopback', 'X-Forwarded-For: 6.6.6.6, 127.0.0.1'),
  forge('x-forwarded-for-twice', 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 6.6.6.6'),
  forge('x-forwarded-for-case', 'x-FORWARDED-for: 6.6.6.6'),
  forge('x-forwarded-for-empty', 'X-Forwarded-For:'),
  forge('x-forwarded-for-long', `X-Forwarded-For: ${'6.6.6.6, '.repeat(200)}6.6.6.6`),
  forge('x-forwarded-for-junk', 'X-Forwarded-For: evil", <script>'),
  forge('x-forwarded-for-8bit', 'X-Forwarded-For: 6.6.6.6\xe9'),
  forge('underscores', 'X_Forwarded_For: 6.6.6.6'),
  forge('underscore-first', 'X_Forwarded-For: 6.6.6.6'),
  forge('underscore-last', 'X-Forwarded_For: 6.6.6.6'),
  forge('underscore-case', 'x_FORWARDED_for: 6.6.6.6'),
  forge('underscore-and-dash', 'X-Forwarded-For: 6.6.6.6', 'X_Forwarded_For: 6.6.6.6'),
  forge('x-real-ip', 'X-Real-IP: 6.6.6.6'),
  forge('x-real-ip-underscore', 'X_Real_IP: 6.6.6.6'),
  forge('forwarded', 'Forwarded: for=6.6.6.6'),
  forge('forwarded-quoted', 'Forwarded: for="6.6.6.6:1234";by=evil'),
  forge('forwarded-case', 'fORWARDED: For=6.6.6.6;Host=evil.test;Proto=https'),
  forge('forwarded-list', 'Forwarded: for=6.6.6.6, for=6.6.6.6', 'Forwarded: for=6.6.6.6'),
  forge('forwarded-unfinished-quote', 'Forwarded: for="6.6.6.6, for=127.0.0.1'),
  forge('x-forwarded-host', 'X-Forwarded-Host: evil.test'),
  forge('x-forwarded-host-underscore', 'X_Forwarded_Host: evil.test'),
  forge('x-forwarded-host-twice', 'X-Forwarded-Host: a.test', 'X-Forwarded-Host: evil.test'),
  forge('x-forwarded-server', 'X-Forwarded-Server: evil.test'),
  forge('x-host', 'X-Host: evil.test'),
  forge('x-original-url', 'X-Original-URL: /evil'),
  forge('x-rewrite-url', 'X-Rewrite-URL: /evil'),
  forge('x-forwarded-prefix', 'X-Forwarded-Prefix: /evil'),
  ...[
    'True-Client-IP',
    'Client-IP',
    'X-Client-IP',
    'X-Cluster-Client-IP',
    'CF-Connecting-IP',
    'Fastly-Client-IP',
    'X-Originating-IP',
    'X-Remote-IP',
    'X-Remote-Addr',
    'X-Forwarded',
    'Forwarded-For',
    'X-Envoy-External-Address',
    'X-Original-Forwarded-For',
    'X-ProxyUser-IP',
  ].map((name) => forge(name.toLowerCase(), `${name}: 6.6.6.6`)),
  ...[
    'X-Forwarded-Proto',
    'X_Forwarded_Proto',
    'X-Forwarded-Scheme',
    'X-Forwarded-Ssl',
    'X-Url-Scheme',
    'Front-End-Https',
  ].map((name) => forwarded(`forge-${name.toLowerCase()}`, 'RFC 7239 8.1', fields(`${name}: https`), nowhere('https'))),
  forwarded('forge-x-forwarded-port', 'RFC 7239 8.1', fields('X-Forwarded-Port: 6666'), nowhere('6666')),
  forwarded(
    'forge-proto-rewritten',
    'RFC 7239 5.4',
    fields('X-Forwarded-Proto: https'),
    valueIs('x-forwarded-proto', 'http'),
  ),
  forwarded(
    'forge-host-rewritten',
    'RFC 7239 5.3',
    fields('X-Forwarded-Host: evil.test'),
    valueIs('x-forwarded-host', 'a.test'),
  ),

  // --- behind a proxy that the listener trusts (127.0.0.0/8 and 10.0.0.0/8)
  behind('one', '9.9.9.9', 'X-Forwarded-For: 9.9.9.9'),
  behind('right-most-wins', '9.9.9.9', 'X-Forwarded-For: 6.6.6.6, 9.9.9.9'.replace('6.6.6.6', '5.5.5.5')),
  behind('trusted-in-between', '9.9.9.9', 'X-Forwarded-For: 5.5.5.5, 9.9.9.9, 10.1.2.3'),
  behind('several-lines', '9.9.9.9', 'X-Forwarded-For: 5.5.5.5', 'X-Forwarded-For: 9.9.9.9'),
  behind('no-spaces', '9.9.9.9', 'X-Forwarded-For: 5.5.5.5,9.9.9.9'),
  behind('ipv6', '2001:db8::9', 'X-Forwarded-For: 2001:db8::9'),
  behind('none', '127.0.0.1', 'X: y'),
]
