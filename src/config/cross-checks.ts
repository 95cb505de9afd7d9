import { createSecureContext } from 'node:tls'
import { problemAt } from '../schema/problems.ts'
import type { Address } from '../schema/units.ts'
import type { Path } from '../schema/walk.ts'
import { checkRoutes } from './cross-check-routes.ts'
import type { Draft } from './draft.ts'
import { type Findings, unknownUpstream } from './findings.ts'

/** The checks that one schema cannot make: names that must exist, keys that exclude each other, addresses used twice. */
export function crossCheck(draft: Draft): Findings {
  const findings: Findings = { problems: [], warnings: [] }
  checkAddresses(draft, findings)
  for (const name of draft.listeners.keys()) checkListener(draft, name, findings)
  for (const name of draft.upstreams.keys()) checkUpstream(draft, name, findings)
  checkRoutes(draft, findings)
  checkUse(draft, findings)
  return findings
}

function checkAddresses(draft: Draft, findings: Findings): void {
  const used = new Map<string, string>()
  const visit = (address: Address, path: Path) => {
    const text = 'path' in address ? `unix:${address.path}` : `${address.host}:${address.port}`
    const other = used.get(text)
    if (other !== undefined) findings.problems.push(problemAt(path, `this address is used twice|${other} has it too`))
    else if ('path' in address || address.port !== 0) used.set(text, path.join('.'))
  }
  for (const [name, listener] of draft.listeners) visit(listener.address, ['listeners', name, 'address'])
  const metrics = draft.telemetry?.metrics
  if (metrics) visit(metrics.address, ['telemetry', 'metrics', 'address'])
}

function checkListener(draft: Draft, name: string, findings: Findings): void {
  const listener = draft.listeners.get(name)!
  const at = (...path: string[]) => ['listeners', name, ...path]
  const { problems, warnings } = findings
  if (listener.mode === 'tcp') {
    if (listener.upstream === null)
      problems.push(problemAt(at('upstream'), 'is missing|mode tcp passes bytes on to one upstream', 'key'))
    if (listener.tls !== null)
      problems.push(problemAt(at('tls'), 'cannot be used with mode tcp|TLS is passed through to the endpoints', 'key'))
    if (listener.http2) problems.push(problemAt(at('http2'), 'cannot be used with mode tcp', 'key'))
    if (listener.trustedProxies.length > 0) {
      problems.push(
        problemAt(
          at('trustedProxies'),
          'cannot be used with mode tcp|there is no HTTP to read; use proxyProtocol',
          'key',
        ),
      )
    }
  } else if (listener.upstream !== null) {
    problems.push(problemAt(at('upstream'), 'is for mode tcp only|use routes, or add mode: tcp', 'key'))
  }
  if (listener.mode === 'tcp' && listener.upstream !== null) {
    const upstream = draft.upstreams.get(listener.upstream)
    if (upstream === undefined) problems.push(unknownUpstream(draft, listener.upstream, at('upstream'), findings))
    else if (upstream?.endpoints.some((endpoint) => endpoint.url.scheme !== 'tcp')) {
      problems.push(problemAt(at('upstream'), 'its endpoints are not all tcp://|mode tcp needs tcp:// endpoints'))
    }
  }
  if (listener.tls !== null && listener.tls.ciphers !== null && !isCipherList(listener.tls.ciphers)) {
    problems.push(problemAt(at('tls', 'ciphers'), 'has no cipher that OpenSSL knows|separate names with :'))
  }
  if (listener.http2)
    warnings.push(problemAt(at('http2'), 'HTTP/2 is not offered by this version|clients are served with HTTP/1.1'))
  if (
    listener.tls === null &&
    listener.mode === 'http' &&
    'host' in listener.address &&
    !isLoopback(listener.address.host)
  ) {
    warnings.push(problemAt(at('address'), 'serves plain HTTP beyond this machine|add tls, or listen on 127.0.0.1'))
  }
  if (listener.trustedProxies.some((cidr) => cidr.endsWith('/0'))) {
    warnings.push(problemAt(at('trustedProxies'), 'believes X-Forwarded-For from anyone|name your proxies only'))
  }
  for (const key of ['headBytes', 'headers', 'urlBytes', 'connections'] as const) {
    if (listener.limits[key] !== Number.POSITIVE_INFINITY) continue
    warnings.push(problemAt(at('limits', key), 'is lifted|one client can then use up the memory'))
  }
}

function checkUpstream(draft: Draft, name: string, findings: Findings): void {
  const upstream = draft.upstreams.get(name)
  if (upstream === null || upstream === undefined) return
  const at = (...path: (string | number)[]) => ['upstreams', name, ...path]
  const { problems, warnings } = findings
  if (upstream.endpoints.length === 0)
    problems.push(problemAt(at('endpoints'), 'is missing|an upstream needs at least one endpoint', 'key'))
  else if (upstream.endpoints.every((endpoint) => endpoint.weight === 0)) {
    problems.push(problemAt(at('endpoints'), 'all have weight 0|nothing would get a request'))
  }
  const seen = new Set<string>()
  for (const [index, { url }] of upstream.endpoints.entries()) {
    const text = `${url.scheme} ${url.host} ${url.port}`
    if (seen.has(text))
      problems.push(problemAt(at('endpoints', index), 'this endpoint is there twice|use weight to give it more'))
    seen.add(text)
    if ((url.scheme === 'tcp') !== (upstream.endpoints[0]!.url.scheme === 'tcp')) {
      problems.push(problemAt(at('endpoints', index), 'mixes tcp:// with http://|one upstream has one kind'))
    }
  }
  if (upstream.balancer === 'hash' && upstream.hash === null) {
    problems.push(problemAt(at('hash'), 'is missing|balancer hash needs hash: { by: … }', 'key'))
  }
  if (upstream.balancer !== 'hash' && upstream.hash !== null)
    problems.push(problemAt(at('hash'), 'is for balancer hash only', 'key'))
  const { tls } = upstream
  if (tls === null) return
  if ((tls.certificate === null) !== (tls.key === null)) {
    problems.push(problemAt(at('tls'), 'has only one of certificate and key|give both or none', 'key'))
  }
  if (upstream.endpoints.length > 0 && !upstream.endpoints.some((endpoint) => endpoint.url.scheme === 'https')) {
    const tcp = upstream.endpoints[0]!.url.scheme === 'tcp'
    problems.push(
      problemAt(at('tls'), `is not used by ${tcp ? 'tcp' : 'http'}:// endpoints|write https://, or remove it`, 'key'),
    )
  } else if (upstream.endpoints.some((endpoint) => endpoint.url.scheme === 'http')) {
    warnings.push(problemAt(at('tls'), 'some endpoints are http:// and are not verified|write https:// for all', 'key'))
  }
}

function checkUse(draft: Draft, { warnings }: Findings): void {
  if (!draft.whole) return
  const used = new Set<string>()
  for (const listener of draft.listeners.values()) if (listener.upstream !== null) used.add(listener.upstream)
  for (const route of draft.routes) {
    if (route?.upstream) used.add(route.upstream)
    for (const share of route?.split ?? []) used.add(share.upstream)
  }
  for (const name of draft.upstreams.keys()) {
    if (!used.has(name)) warnings.push(problemAt(['upstreams', name], 'is used by no route and no listener', 'key'))
  }
  const http = [...draft.listeners].find(([, listener]) => listener.mode === 'http')
  if (http !== undefined && draft.routes.length === 0) {
    warnings.push(problemAt(['listeners', http[0]], 'there are no routes|every request gets 404', 'key'))
  }
}

function isCipherList(ciphers: string): boolean {
  try {
    createSecureContext({ ciphers })
    return true
  } catch {
    return false
  }
}

const isLoopback = (host: string) => host.startsWith('127.') || host === '::1' || host === 'localhost'
