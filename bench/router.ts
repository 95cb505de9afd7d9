/**
 * Prints the cost of normalising a path and of finding its route, in ns, with 10, 100 and 10,000 routes.
 *
 * Run: `node bench/router.ts`. Routes are a mix of static, template and wildcard paths over exact, wildcard and any
 * hosts; requests are drawn evenly from all of them, so that 10,000 routes also show what caches do not hold. The
 * second column asks for ten of the routes only, as the first row does: what the number of routes itself costs.
 */
import type { Exchange } from '../src/core/exchange.ts'
import type { Route } from '../src/core/route.ts'
import type { RouteMatcher } from '../src/core/snapshot.ts'
import { readTarget } from '../src/proxy/path/normalise.ts'
import { compileRouter } from '../src/proxy/router/router.ts'
import { testExchange, testRoute } from '../src/proxy/router/test-exchange.ts'

const ROUNDS = 9
const PER_ROUND = 300_000

console.log('normalise, ns')
console.log(`  30 plain characters   ${normaliseCost('/api/v1/customers/12345/orders')}`)
console.log(`  with a query          ${normaliseCost('/api/v1/customers/12345/orders?page=2&sort=asc')}`)
console.log(`  with %20              ${normaliseCost('/api/v1/customers/John%20D/ords')}`)
console.log(`  with ../              ${normaliseCost('/api/v1/customers/../12345/ords')}`)
console.log(`  8 KiB of %252f        ${normaliseCost(`/${'%252f'.repeat(1600)}`, 2000)}`)
console.log('\nmatch, ns per request      all routes asked   ten routes asked')
for (const count of [10, 100, 10_000]) {
  const routes = Array.from({ length: count }, (_, i) => routeOf(i))
  const matcher = compileRouter(routes)
  const all = matchCost(
    matcher,
    Array.from({ length: 2000 }, (_, i) => exchangeOf((i * 7919) % count)),
  )
  const ten = matchCost(
    matcher,
    Array.from({ length: 2000 }, (_, i) => exchangeOf((i % 10) + 10 * Math.floor(((i % 10) * count) / 100))),
  )
  console.log(`  ${String(count).padStart(6)} routes          ${all.padStart(14)}     ${ten.padStart(14)}`)
}
const hostile = compileRouter([routeOf(0), testRoute('all', '/*')])
for (const [what, path] of [
  ['a%2Fb', '/projects/group%2Fname/files'],
  ['a;b=c', '/projects/a;b=c/files'],
  ['8 KiB of %252f', `/${'%252f'.repeat(1600)}`],
  ['8 KiB of a;b%2F', `/${'a;b%2F'.repeat(1300)}`],
] as const) {
  const exchange = testExchange(path)
  console.log(
    `  readings of ${what.padEnd(18)} ${cost(path.length > 100 ? 500 : 50_000, () => rematch(hostile, exchange))}`,
  )
}

function routeOf(i: number): Route {
  const shape = i % 10
  const paths = [
    `/api/v1/service-${i}/items`,
    `/api/v1/service-${i}/items/{id}`,
    `/shop/{shop}/section-${i}/{item}`,
    `/static-${i}/*`,
    `/files-${i}/{rest+}`,
    `/api/v2/thing-${i}`,
    `/api/v2/thing-${i}/{id}/parts/{part}`,
    `/health-${i}`,
    `/tenant/{tenant}/area-${i}/*`,
    `/login-${i}`,
  ]
  const host = shape < 5 ? `host-${i % 7}.example.com` : shape < 8 ? `*.wild-${i % 3}.example.com` : null
  const methods = shape % 3 === 0 ? null : ['GET', 'POST']
  return testRoute(`r${i}`, paths[shape], { host, methods })
}

function exchangeOf(i: number): Exchange {
  const { host, path } = routeOf(i).match
  const real = path
    .replace('{rest+}', 'a/b/c.txt')
    .replace('/*', '/x/y')
    .replace(/\{\w+\}/g, '12345')
  return testExchange(real, 'GET', host?.replace('*', 'www') ?? 'other.test')
}

function rematch(matcher: RouteMatcher, exchange: Exchange): void {
  exchange.pathRefusal = null
  matcher.match(exchange)
}

function normaliseCost(target: string, perRound = PER_ROUND): string {
  const text = `GET ${target} HTTP/1.1`
  const exchange = testExchange('/')
  return cost(perRound, () => {
    // A slice of the head, as the parser makes it.
    exchange.request.target = text.slice(4, 4 + target.length)
    readTarget(exchange)
  })
}

function matchCost(matcher: RouteMatcher, exchanges: readonly Exchange[]): string {
  let at = 0
  const answer = cost(PER_ROUND, () => {
    at = at + 1 === exchanges.length ? 0 : at + 1
    rematch(matcher, exchanges[at])
  })
  for (const exchange of exchanges) if (exchange.route === null) throw new Error(`no route for ${exchange.path}`)
  return answer
}

/** CPU time per run in the best of the rounds, the one that other programs disturbed least; the first is not counted. */
function cost(perRound: number, run: () => void): string {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round <= ROUNDS; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < perRound; i++) run()
    const spent = process.cpuUsage(before)
    if (round > 0) best = Math.min(best, ((spent.user + spent.system) * 1000) / perRound)
  }
  return best.toFixed(0)
}
