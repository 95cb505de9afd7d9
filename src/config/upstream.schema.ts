import {
  duration,
  either,
  endpointUrl,
  file,
  flagNotYet,
  fromText,
  integer,
  list,
  named,
  notAvailable,
  object,
  oneOf,
  optional,
  orOff,
  pattern,
  percent,
  secret,
  text,
  timeout,
} from '../schema/kit.ts'

/** What a consistent hash is made of; `name` is null for `client`. */
export interface HashKey {
  source: 'client' | 'header' | 'cookie' | 'query'
  name: string | null
}

const zone = () => pattern('name', /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/, 'expected the name of a zone')

const endpoint = object({
  url: endpointUrl().describe(
    '`http://host:port`, `https://host:port` or `tcp://host:port`. A name is resolved again and again, see `dns`.',
  ),
  weight: integer(0, 65_535).prefault(1).describe('Share relative to the others; 0 gets nothing.'),
  zone: optional(zone()).describe('Where it runs; endpoints in the zone of the edge come first.'),
})

const endpointText = endpointUrl().transform((url) => ({ url, weight: 1, zone: null }))

const hashKey = fromText<HashKey>(
  'client, header:NAME, cookie:NAME or query:NAME',
  '^(client|(header|cookie|query):.+)$',
  'expected client, header:NAME, cookie:NAME or query:NAME',
  (value) => {
    if (value === 'client') return { source: 'client', name: null }
    const match = /^(header|cookie|query):([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256})$/.exec(value)
    if (match === null) return undefined
    const source = match[1] as 'header' | 'cookie' | 'query'
    return { source, name: source === 'header' ? match[2]!.toLowerCase() : match[2]! }
  },
)

const healthCheck = object({
  path: fromText('path or none', '^(none|/)', 'expected a path that starts with /, or none', (value) => {
    if (value === 'none') return { path: null }
    return /^\/[\x21-\x7e]{0,2047}$/.test(value) && !value.includes('#') ? { path: value } : undefined
  })
    .transform((value) => value.path)
    .prefault('/healthz')
    .describe('Asked with GET; 2xx and 3xx are healthy. `none`, and tcp:// endpoints: a connection is enough.'),
  interval: duration().prefault('5s').describe('From one check of an endpoint to the next.'),
  timeout: duration().prefault('1s').describe('For one check.'),
  healthyAfter: integer(1, 100).prefault(2).describe('Good checks in a row that bring an endpoint back.'),
  unhealthyAfter: integer(1, 100).prefault(3).describe('Failed checks in a row that take it out.'),
})

const ejection = object({
  consecutiveFailures: integer(1, 10_000).prefault(5).describe('Failed requests in a row that take an endpoint out.'),
  for: duration().prefault('30s').describe('How long it is out.'),
  maxShare: percent()
    .prefault('50%')
    .describe('Largest share of the endpoints that may be out. The last healthy one never is.'),
})

const concurrency = object({
  limit: integer(0, 1_000_000).prefault(100).describe('Requests at the endpoints at the same time, over all threads.'),
  queue: integer(0, 1_000_000).prefault(500).describe('Requests that wait; further ones get 503 with Retry-After.'),
  queueTimeout: duration().prefault('2s').describe('The longest wait.'),
})

const retryOn = either(
  fromText(
    'connect, reset or a status',
    '^(connect|reset|[45]\\d\\d)$',
    'expected connect, reset or a status such as 502',
    (value) => (/^(connect|reset|[45]\d\d)$/.test(value) ? value : undefined),
  ),
  integer(400, 599).transform(String),
)

const retry = object({
  attempts: integer(1, 10).prefault(2).describe('Tries in all, the first included.'),
  on: list(retryOn)
    .prefault(['connect', 'reset', '502', '503'])
    .describe('What is tried again, where that is safe: `connect`, `reset` or a status.'),
  budget: percent().prefault('20%').describe('Retries as a share of the requests; beyond it none is made.'),
})

const timeouts = object({
  connect: timeout().prefault('2s').describe('For the connection and the TLS handshake.'),
  response: timeout().prefault('30s').describe('From the last byte of the request to the head of the response.'),
  idle: timeout()
    .prefault('60s')
    .describe('The longest gap between two pieces of a response body, and the life of an unused connection.'),
})

const tls = object({
  ca: optional(file()).describe(
    "CAs that sign the endpoints' certificates, in PEM. Default: the public ones that Node brings.",
  ),
  serverName: optional(pattern('host name', /^[A-Za-z0-9_.-]{1,253}$/, 'expected a host name')).describe(
    "The name asked for and verified. Default: the host of the endpoint's URL.",
  ),
  certificate: optional(file()).describe('What the edge presents, with `key`, in PEM.'),
  key: optional(file()).describe('Its private key, in PEM.'),
  minVersion: oneOf('TLSv1.2', 'TLSv1.3').prefault('TLSv1.2').describe('The oldest version of TLS that is accepted.'),
})

const lockShape = object({
  header: object({ name: text(), values: list(secret()) }),
  signature: object({ keyId: text(), secret: secret(), validFor: duration() }),
  clientCertificate: text(),
})
const awsShape = object({ accessKeyId: secret(), secretAccessKey: secret() })

/** A named group of endpoints. */
export const upstreamSchema = object({
  endpoints: list(either(endpointText, endpoint)).prefault([]).describe('Their URLs, or objects with more to say.'),
  balancer: oneOf('least-requests', 'round-robin', 'latency', 'hash')
    .prefault('least-requests')
    .describe('How an endpoint is chosen for each request.'),
  hash: optional(object({ by: hashKey.describe('What requests with the same endpoint have in common.') })).describe(
    'For balancer `hash`.',
  ),
  healthCheck: optional(healthCheck).describe('Active checks. Absent: none.'),
  ejection: orOff(ejection).prefault({}).describe('Takes out endpoints that fail requests. `off` never does.'),
  concurrency: optional(concurrency).describe('Bounds what the endpoints get. Absent: no limit.'),
  retry: optional(retry).describe(
    'Absent: only an idempotent request whose reused connection was stale is repeated, once.',
  ),
  timeouts: timeouts.prefault({}).describe('`none` lifts a timeout.'),
  tls: optional(tls).describe('For https:// endpoints, whose certificates are always verified.'),
  proxyProtocol: optional(oneOf('v1', 'v2')).describe('Sends the client address to the endpoint first, before TLS.'),
  slowStart: optional(orOff(duration())).describe(
    'How long an endpoint that came back is given growing shares. Default: off.',
  ),
  dns: object({ refresh: duration().prefault('30s').describe("How often endpoints' names are resolved again.") })
    .prefault({})
    .describe('Names of endpoints.'),
  http2: flagNotYet('endpoints are spoken to in HTTP/1.1').prefault(false).describe('Only `false` in this version.'),
  lock: notAvailable('remove it: endpoints would wait for a proof that is not sent', lockShape),
  s3: notAvailable('use endpoints', awsShape),
  lambda: notAvailable('use endpoints', awsShape),
  link: notAvailable('use endpoints', named(text())),
})
