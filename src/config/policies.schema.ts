import { fieldMap, fieldNames } from '../schema/fields.schema.ts'
import { notAvailable, object, optional, orOff, type Schema, secret } from '../schema/kit.ts'

const change = (what: string) =>
  object({
    set: fieldMap().prefault({}).describe(`Written to the ${what}, in place of any with the same name.`),
    remove: fieldNames().prefault([]).describe(`Taken out of the ${what}.`),
  })

/** Header fields to set and remove. */
export const headersPolicySchema = object({
  request: change('request').prefault({}).describe('On the way to the endpoint.'),
  response: change('response').prefault({}).describe('On the way to the client, answers of the edge included.'),
})

/** A request must not pass a check that does not run, so a policy that is not built yet stops the start. */
const later = (shape?: Schema) => notAvailable('remove it: a request must not pass a check that does not run', shape)

/** Every policy by name, in the order in which they run; those that this version does not have are refused. */
const policies = {
  guard: later(),
  access: later(),
  cors: later(),
  rateLimit: later(),
  concurrency: later(),
  clientCertificate: later(),
  apiKey: later(),
  jwt: later(),
  webhook: later(object({ secret: secret() })),
  authorizer: later(),
  authorize: later(),
  inbox: later(),
  plan: later(),
  budget: later(),
  validate: later(),
  waf: later(),
  cache: later(),
  headers: optional(headersPolicySchema).describe('Sets and removes header fields.'),
  mask: later(),
  scrub: later(),
}

/** The names of all policies, in the order in which they run. */
export const POLICY_NAMES = Object.keys(policies) as (keyof typeof policies)[]

/** The policies of every route. */
export const policiesSchema = object(policies)

/** The policies of one route: each replaces the one for every route, `off` removes it. Absent: undefined, that of every route. */
export const routePoliciesSchema = object({
  ...policies,
  headers: orOff(headersPolicySchema).optional().describe('Sets and removes header fields; `off`: none here.'),
})
