import {
  duration,
  either,
  integer,
  list,
  named,
  notAvailable,
  type Output,
  object,
  oneOf,
  optional,
  pattern,
  secret,
  secretUrl,
  text,
} from '../schema/kit.ts'
import { listenerSchema } from './listener.schema.ts'
import { policiesSchema } from './policies.schema.ts'
import { routeSchema } from './route.schema.ts'
import { telemetrySchema } from './telemetry.schema.ts'
import { upstreamSchema } from './upstream.schema.ts'

const state = object({
  store: secretUrl(/^(sqlite:.+|postgres(ql)?:\/\/.+)$/, 'expected sqlite:FILE or postgres://…')
    .prefault('sqlite:sallyport.db')
    .describe('Keys, usage, webhooks and audit events.'),
  counters: secretUrl(/^(memory|rediss?:\/\/.+)$/, 'expected memory or redis://…')
    .prefault('memory')
    .describe('Limits that several nodes share.'),
})

const deploy = object({
  aws: optional(
    object({
      architecture: oneOf('lambda', 'alb', 'nlb').describe('How the edge is run there.'),
      vpc: optional(text().meta({ title: 'text' })).describe('The VPC.'),
      subnets: list(text()).prefault([]).describe('Its subnets.'),
      egress: list(text()).prefault([]).describe('Networks that may be called from there.'),
    }),
  ).describe('Amazon Web Services.'),
})

/** The whole configuration file. */
export const rootSchema = object({
  listeners: named(listenerSchema).describe('Addresses the edge accepts on, by name.'),
  upstreams: named(upstreamSchema).prefault({}).describe('Groups of endpoints, by name.'),
  routes: list(routeSchema).prefault([]).describe('The most specific match wins, whatever the order.'),
  policies: policiesSchema.prefault({}).describe('For every route.'),
  plans: notAvailable('remove it: limits would not be kept'),
  state: state.prefault({}).describe('Where the edge remembers.'),
  telemetry: telemetrySchema.prefault({}).describe('Logs, metrics and traces.'),
  admin: notAvailable('remove it: nothing would listen there', object({ token: secret() })),
  threads: either(oneOf('auto'), integer(1, 256))
    .prefault('auto')
    .describe('Data threads. `auto`: one per processor that the process may use.'),
  zone: optional(pattern('name', /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/, 'expected the name of a zone')).describe(
    'Where this edge runs; endpoints in the same zone come first.',
  ),
  drain: object({
    timeout: duration().prefault('30s').describe('How long SIGTERM waits for what runs.'),
  })
    .prefault({})
    .describe('The end of the process.'),
  deploy: optional(deploy).describe('Read by `synth`, ignored by `run`.'),
})

/**
 * A configuration that passed every check. Durations are ms, sizes bytes, shares fractions, `none` is Infinity, absent sections are null.
 * Certificates and keys are PEM texts, not paths. Plain data: it can be posted to a thread.
 */
export type Config = Omit<Output<typeof rootSchema>, 'routes'> & { routes: RouteConfig[] }
/** One route; `name` is filled in where the file has none. */
export type RouteConfig = Omit<Output<typeof routeSchema>, 'name'> & { name: string }
export type ListenerConfig = Config['listeners'][string]
export type UpstreamConfig = Config['upstreams'][string]
export type PoliciesConfig = Config['policies']
export type HeadersPolicyConfig = NonNullable<PoliciesConfig['headers']>
