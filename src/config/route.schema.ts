import { fieldMap, fieldName, fieldValue, method } from '../schema/fields.schema.ts'
import { cidrs, freeText, fromText, integer, mapOf, object, optional, pattern, someOf, text } from '../schema/kit.ts'
import { isHostName, isIpv6 } from '../schema/units.ts'
import { routePoliciesSchema } from './policies.schema.ts'

const upstreamName = () => pattern('name', /./, 'expected the name of an upstream')

const hostMatch = fromText('host', undefined, "expected a host name without port, or '*.example.com'", (value) => {
  const bare = value.startsWith('*.') ? value.slice(2) : value
  if (bare.startsWith('[') && bare.endsWith(']')) return isIpv6(bare.slice(1, -1)) ? value.toLowerCase() : undefined
  return isHostName(bare) ? value.toLowerCase() : undefined
})

const pathMatch = fromText(
  'path template',
  '^/',
  'expected a path such as /orders/{id}, /files/{rest+} or /admin/*|a name takes a whole segment, {rest+} and * come last, names differ; no query, space, ; or dot segment',
  (value) => (isTemplate(value) ? value : undefined),
)

/** A host with or without port, as the endpoint is to see it. */
const hostValue = pattern(
  'host',
  /^([A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?$/,
  'expected a host, with or without port',
)

const respond = object({
  status: integer(200, 599).prefault(200).describe('Its status.'),
  body: freeText().prefault('').describe('Its body.'),
  headers: fieldMap().prefault({}).describe('Its header fields. Default Content-Type: `text/plain; charset=utf-8`.'),
})

const redirect = object({
  to: pattern('URL or path', /^(https?:\/\/|\/|\{)[\x21-\x7e]*$/, 'expected a URL or a path, without spaces').describe(
    'Where to; may hold `{name}`s of the path, `{path}`, `{query}` and `{host}`.',
  ),
  status: fromRedirectStatus().prefault(308).describe('301, 302, 303, 307 or 308.'),
})

const rewrite = object({
  path: optional(
    pattern('path template', /^\/[\x21\x22\x24-\x3e\x40-\x7e]*$/, 'expected a path that starts with /, without query'),
  ).describe('The path sent on; may hold `{name}`s of the path.'),
  host: optional(hostValue).describe("The Host sent on. Default: the client's."),
})

/** What requests look like and where they go. */
export const routeSchema = object({
  name: optional(text().max(128, { error: 'is longer than 128 characters' }).meta({ title: 'text' })).describe(
    'In logs and metrics. Default: host and path.',
  ),
  host: optional(hostMatch).describe("Exact, or `'*.example.com'` for all names below. Default: any."),
  path: pathMatch
    .prefault('/*')
    .describe('`{id}` takes one segment, `{rest+}` one or more; a final `/*` is this path and all below it.'),
  methods: optional(someOf(method())).describe('Default: any. HEAD is answered where GET is.'),
  headers: mapOf(fieldName(), fieldValue()).prefault({}).describe('Header fields that must have exactly this value.'),
  query: mapOf(text(), freeText()).prefault({}).describe('Query parameters that must have exactly this value.'),
  from: optional(cidrs().min(1, { error: 'needs at least one item' })).describe(
    'Networks the client must be in. Default: any.',
  ),
  upstream: optional(upstreamName()).describe(
    'Where requests go. One of `upstream`, `split`, `respond` and `redirect` is needed.',
  ),
  split: optional(
    someOf(
      object({
        upstream: upstreamName().describe('Where this share goes.'),
        weight: integer(0, 65_535).prefault(1).describe('Its share relative to the others.'),
      }),
    ),
  ).describe('Several upstreams by weight.'),
  respond: optional(respond).describe('An answer by the edge itself.'),
  redirect: optional(redirect).describe('A redirect by the edge itself.'),
  rewrite: optional(rewrite).describe('What the endpoint sees in place of what the client sent.'),
  policies: routePoliciesSchema.prefault({}).describe('Merged over those of every route, policy by policy.'),
})

/** The names in a path template, in order; `{rest+}` yields `rest`. */
export function templateNames(template: string): string[] {
  return [...template.matchAll(/\{([A-Za-z_][A-Za-z0-9_]*)\+?\}/g)].map((match) => match[1]!)
}

function isTemplate(value: string): boolean {
  if (!value.startsWith('/') || value.length > 2048) return false
  const segments = value.slice(1).split('/')
  const names = new Set<string>()
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1
    const variable = /^\{([A-Za-z_][A-Za-z0-9_]{0,62})(\+?)\}$/.exec(segment)
    if (variable !== null) {
      if (names.has(variable[1]!) || (variable[2] === '+' && !last)) return false
      names.add(variable[1]!)
    } else if (segment === '*' ? !last : !isLiteral(segment) || (segment === '' && !last)) return false
  }
  return true
}

/** A segment as the normal form of a path has it: what the edge would fold or refuse can never match. */
function isLiteral(segment: string): boolean {
  return /^(?:[!$&'()+,:=@A-Za-z0-9._~-]|%(?!2f|5c|00|2e)[0-9a-f]{2})*$/i.test(segment) && !/^\.\.?$/.test(segment)
}

function fromRedirectStatus() {
  return integer(301, 308).refine((value) => [301, 302, 303, 307, 308].includes(value), {
    error: 'expected 301, 302, 303, 307 or 308',
  })
}
