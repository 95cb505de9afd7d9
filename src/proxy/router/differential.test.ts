import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Route } from '../../core/route.ts'
import { compileRouter } from './router.ts'
import { testExchange, testRoute } from './test-exchange.ts'

const ROUNDS = 400
const REQUESTS = 40

test('the trie agrees with a scorer that looks at every route, for random routes and paths', () => {
  const random = seeded(20_240_607)
  let ran = 0
  let found = 0
  for (let round = 0; round < ROUNDS; round++) {
    const routes = Array.from({ length: 1 + pick(random, 30) }, (_, i) => randomRoute(random, i))
    const matcher = compileRouter(routes)
    for (let i = 0; i < REQUESTS; i++) {
      const path = randomPath(random)
      const method = METHODS[pick(random, METHODS.length)]
      const host = ['a.test', 'x.a.test', 'y.x.a.test', 'b.test'][pick(random, 4)]
      const fields = pick(random, 2) === 0 ? [] : ([['X-V', '1']] as const)
      const exchange = testExchange(path, method, host, fields)
      const code = matcher.match(exchange)
      const best = naive(routes, path, method, host, fields.length > 0)
      const say = `${method} ${host}${path} among ${routes.map((r) => `${r.name} ${r.match.host} ${r.match.path}`).join(', ')}`
      assert.equal(exchange.route?.name ?? code, best, say)
      if (exchange.route !== null) found++
      ran++
    }
  }
  assert.equal(ran, ROUNDS * REQUESTS)
  assert.ok(found > ran / 4, `only ${found} of ${ran} requests found a route`)
})

const METHODS = ['GET', 'HEAD', 'POST', 'OPTIONS']
const WORDS = ['a', 'b', 'ab']

/** The rules, said plainly: every route that fits, ordered by host, path, method, conditions and place. */
function naive(routes: readonly Route[], path: string, method: string, host: string, hasField: boolean): string {
  const fits = routes
    .map((route, place) => ({ route, rank: [hostRank(route, host), ...pathRank(route, path)], place }))
    .filter(({ route, rank }) => !rank.includes(NO) && (route.match.headers.length === 0 || hasField))
  const answering = fits
    .map((fit) => ({ ...fit, method: methodRank(fit.route, method) }))
    .filter((fit) => fit.method !== NO)
    .sort((x, y) => {
      for (let i = 0; i < Math.max(x.rank.length, y.rank.length); i++) {
        const difference = (x.rank[i] ?? -1) - (y.rank[i] ?? -1)
        if (difference !== 0) return difference
      }
      return x.method - y.method || y.route.match.headers.length - x.route.match.headers.length || x.place - y.place
    })
  if (answering.length > 0) return answering[0].route.name
  return fits.length > 0 ? 'method-not-allowed' : 'route-not-found'
}

const NO = 1e9

function hostRank(route: Route, host: string): number {
  const want = route.match.host
  if (want === null) return 1000
  if (!want.startsWith('*.')) return want === host ? 0 : NO
  return host.endsWith(want.slice(1)) ? 500 - want.length : NO
}

function methodRank(route: Route, method: string): number {
  const methods = route.match.methods
  if (methods === null) return 2
  if (methods.includes(method)) return 0
  return method === 'HEAD' && methods.includes('GET') ? 1 : NO
}

/** One number a segment: 0 text, 1 name, 2 rest, 3 all; the end of a template comes before all of them. */
function pathRank(route: Route, path: string): number[] {
  const wanted = route.match.path.slice(1).split('/')
  const given = path.slice(1).split('/')
  const rank: number[] = []
  for (const [i, want] of wanted.entries()) {
    if (want === '*') return [...rank, 3]
    if (want === '{rest+}') return given.length > i && given[i] !== '' ? [...rank, 2] : [NO]
    if (i >= given.length) return [NO]
    if (want.startsWith('{')) {
      if (given[i] === '') return [NO]
      rank.push(1)
    } else if (want === given[i]) rank.push(0)
    else return [NO]
  }
  return wanted.length === given.length ? rank : [NO]
}

function randomRoute(random: () => number, i: number): Route {
  const segments = Array.from({ length: 1 + pick(random, 3) }, (_, k) =>
    pick(random, 3) === 0 ? `{n${k}}` : WORDS[pick(random, WORDS.length)],
  )
  const end = ['', '', '', '/*', '/{rest+}', '/'][pick(random, 6)]
  const path = pick(random, 12) === 0 ? ['/', '/*', '/{rest+}'][pick(random, 3)] : `/${segments.join('/')}${end}`
  const methods = [null, null, ['GET'], ['POST'], ['GET', 'POST'], ['HEAD'], ['OPTIONS']][pick(random, 7)]
  const host = [null, null, 'a.test', '*.a.test', '*.x.a.test'][pick(random, 5)]
  return testRoute(`r${i}`, path, { methods, host, headers: pick(random, 4) === 0 ? [['x-v', '1']] : [] })
}

function randomPath(random: () => number): string {
  const segments = Array.from({ length: pick(random, 5) }, () => WORDS[pick(random, WORDS.length)])
  return `/${segments.join('/')}${segments.length > 0 && pick(random, 4) === 0 ? '/' : ''}`
}

function pick(random: () => number, below: number): number {
  return Math.floor(random() * below)
}

function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 8) / 2 ** 24
  }
}
