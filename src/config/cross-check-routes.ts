import type { Output } from '../schema/kit.ts'
import { nearest } from '../schema/nearest.ts'
import { problemAt } from '../schema/problems.ts'
import type { Draft } from './draft.ts'
import { type Findings, unknownUpstream } from './findings.ts'
import { type routeSchema, templateNames } from './route.schema.ts'

type Route = Output<typeof routeSchema>

/** Checks the routes against each other and against the upstreams. Linear in their number. */
export function checkRoutes(draft: Draft, findings: Findings): void {
  const matches = new Map<string, number>()
  const names = new Map<string, number>()
  for (const [index, route] of draft.routes.entries()) {
    if (route === null) continue
    checkTarget(draft, route, index, findings)
    checkTemplates(route, index, findings)
    for (const key of matchKeys(route)) {
      const other = matches.get(key)
      if (other === undefined) matches.set(key, index)
      else {
        findings.problems.push(
          problemAt(['routes', index], `matches the same requests as routes[${other}]|one would never be taken`),
        )
        break
      }
    }
    if (route.name === null) continue
    const other = names.get(route.name)
    if (other !== undefined)
      findings.problems.push(
        problemAt(['routes', index, 'name'], `this name is used twice|routes[${other}] has it too`),
      )
    else names.set(route.name, index)
  }
}

function checkTarget(draft: Draft, route: Route, index: number, findings: Findings): void {
  const { problems } = findings
  const targets = (['upstream', 'split', 'respond', 'redirect'] as const).filter((key) => route[key] !== null)
  if (targets.length === 0) {
    problems.push(
      problemAt(['routes', index], 'has nothing to do|one of upstream, split, respond and redirect is needed'),
    )
  } else if (targets.length > 1) {
    problems.push(
      problemAt(
        ['routes', index, targets[1]!],
        `excludes ${targets[0]}|a route has one of upstream, split, respond and redirect`,
        'key',
      ),
    )
  }
  if (route.rewrite !== null && route.upstream === null && route.split === null) {
    problems.push(problemAt(['routes', index, 'rewrite'], 'has no upstream to rewrite for', 'key'))
  }
  if (route.upstream !== null) checkUpstreamOf(draft, route.upstream, ['routes', index, 'upstream'], findings)
  const split = route.split ?? []
  for (const [part, share] of split.entries()) {
    checkUpstreamOf(draft, share.upstream, ['routes', index, 'split', part, 'upstream'], findings)
  }
  if (split.length > 0 && split.every((share) => share.weight === 0)) {
    problems.push(problemAt(['routes', index, 'split'], 'all have weight 0|nothing would get a request'))
  }
  if (
    route.respond !== null &&
    (route.respond.status === 204 || route.respond.status === 304) &&
    route.respond.body !== ''
  ) {
    problems.push(
      problemAt(
        ['routes', index, 'respond', 'body'],
        `cannot be sent with status ${route.respond.status}|RFC 9110 6.4.1`,
      ),
    )
  }
}

function checkUpstreamOf(draft: Draft, name: string, path: (string | number)[], findings: Findings): void {
  const upstream = draft.upstreams.get(name)
  if (upstream === undefined) findings.problems.push(unknownUpstream(draft, name, path, findings))
  else if (upstream?.endpoints.some((endpoint) => endpoint.url.scheme === 'tcp')) {
    findings.problems.push(problemAt(path, 'its endpoints are tcp://|a route needs http:// or https:// endpoints'))
  }
}

function checkTemplates(route: Route, index: number, { problems }: Findings): void {
  const known = templateNames(route.path)
  const check = (text: string, path: (string | number)[], alsoKnown: readonly string[]) => {
    for (const [whole, name] of text.matchAll(/\{([^{}]*)\}/g)) {
      const names = [...known, ...alsoKnown]
      if (name !== undefined && names.includes(name)) continue
      const guess = nearest(name ?? '', names)
      const hint =
        guess === null
          ? names.length === 0
            ? 'path has no names'
            : `known: ${names.join(', ')}`
          : `did you mean {${guess}}?`
      problems.push(
        problemAt(
          path,
          `has ${/^\{\w+\+?\}$/.test(whole) ? whole : 'something in { }'}, which is not a name of path|${hint}`,
        ),
      )
    }
    if (/[{}]/.test(text.replaceAll(/\{[^{}]*\}/g, '')))
      problems.push(problemAt(path, 'has a { or } without its partner'))
  }
  if (route.rewrite?.path) check(route.rewrite.path, ['routes', index, 'rewrite', 'path'], [])
  if (route.redirect !== null) check(route.redirect.to, ['routes', index, 'redirect', 'to'], ['path', 'query', 'host'])
}

/** One key per method: two routes with a key in common cannot be told apart by what is specific about them. */
function matchKeys(route: Route): string[] {
  const conditions = JSON.stringify([
    route.host,
    route.path.replaceAll(/\{[^}+]*(\+?)\}/g, '{$1}'),
    Object.entries(route.headers)
      .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
      .sort(),
    Object.entries(route.query)
      .map(([name, value]) => `${name}=${value}`)
      .sort(),
    [...(route.from ?? [])].sort(),
  ])
  return (route.methods ?? ['*']).map((method) => `${method} ${conditions}`)
}
