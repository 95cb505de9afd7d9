import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CidrSet } from '../../base/cidr.ts'
import type { Route } from '../../core/route.ts'
import { compileRouter } from './router.ts'
import { testExchange, testRoute } from './test-exchange.ts'

type Fields = readonly (readonly [string, string])[]
/** Request line with host, what must come of it: `route` with its values, or the reason code with Allow. */
type Case = readonly [string, string, Fields?]

/** Runs cases of the form `METHOD host target` and returns how many ran. */
function check(routes: readonly Route[], cases: readonly Case[]): number {
  const matcher = compileRouter(routes)
  // The order of the routes must not matter where no two are alike.
  const reversed = compileRouter(routes.toReversed())
  for (const [line, expected, fields] of cases) {
    const [method, host, target] = line.split(' ')
    for (const each of [matcher, reversed]) {
      const exchange = testExchange(target, method, host, fields ?? [])
      const code = each.match(exchange)
      const found = [
        code ?? exchange.route?.name,
        ...(exchange.params ?? []),
        ...(exchange.allow === null ? [] : [exchange.allow]),
        ...(exchange.pathRefusal === null ? [] : [`! ${exchange.pathRefusal}`]),
      ].join(' | ')
      assert.equal(found, expected, line)
      assert.equal(exchange.route === null, code !== null, line)
    }
  }
  return cases.length
}

test('the most specific path wins: text, {name}, {rest+}, /*', () => {
  const routes = [
    testRoute('root', '/'),
    testRoute('all', '/*'),
    testRoute('orders', '/orders'),
    testRoute('orders-slash', '/orders/'),
    testRoute('order', '/orders/{id}'),
    testRoute('order-new', '/orders/new'),
    testRoute('items', '/orders/{id}/items'),
    testRoute('item', '/orders/{order}/items/{item}'),
    testRoute('new-x', '/orders/new/x'),
    testRoute('files', '/files/{rest+}'),
    testRoute('files-all', '/files/*'),
    testRoute('file', '/files/{name}'),
    testRoute('readme', '/files/readme'),
    testRoute('admin', '/admin/*'),
    testRoute('admin-deep', '/admin/a/b/*'),
    testRoute('abx', '/{a}/{b}/x'),
    testRoute('spaced', '/a b/é'),
    testRoute('me', '/users/@me'),
    testRoute('plus', '/users/a%2Bb'),
  ]
  const ran = check(routes, [
    ['GET a.test /', 'root'],
    ['GET a.test /?a=b', 'root'],
    ['GET a.test /nothing', 'all'],
    ['GET a.test /nothing/', 'all'],
    ['GET a.test /orders', 'orders'],
    ['GET a.test /orders/', 'orders-slash'],
    ['GET a.test /orders/7', 'order | 7'],
    ['GET a.test /orders/7/', 'all'],
    ['GET a.test /orders/new', 'order-new'],
    ['GET a.test /orders/new/', 'all'],
    ['GET a.test /orders/New', 'order | New'],
    ['GET a.test /orders/news', 'order | news'],
    ['GET a.test /orders/ne', 'order | ne'],
    ['GET a.test /orders/new/x', 'new-x'],
    ['GET a.test /orders/new/items', 'items | new'],
    ['GET a.test /orders/new/items/3', 'item | new | 3'],
    ['GET a.test /orders/7/items', 'items | 7'],
    ['GET a.test /orders/7/items/', 'all'],
    ['GET a.test /orders/7/items/3', 'item | 7 | 3'],
    ['GET a.test /orders/7/items/3/4', 'all'],
    ['GET a.test /orders/7/x', 'abx | orders | 7'],
    ['GET a.test /orders/a%20b', 'order | a%20b'],
    ['GET a.test /orders/a%2bb', 'order | a%2Bb'],
    ['GET a.test /orders/%37', 'order | 7'],
    ['GET a.test /orders//7', 'order | 7'],
    ['GET a.test /orders/./7', 'order | 7'],
    ['GET a.test /x/../orders/7', 'order | 7'],
    ['GET a.test /files', 'files-all'],
    ['GET a.test /files/', 'files-all'],
    ['GET a.test /files/a', 'file | a'],
    ['GET a.test /files/readme', 'readme'],
    ['GET a.test /files/a/', 'files | a/'],
    ['GET a.test /files/a/b', 'files | a/b'],
    ['GET a.test /files/a/b/', 'files | a/b/'],
    ['GET a.test /files/readme/b', 'files | readme/b'],
    ['GET a.test /files/a/b/c/d/e/f', 'files | a/b/c/d/e/f'],
    ['GET a.test /admin', 'admin'],
    ['GET a.test /admin/', 'admin'],
    ['GET a.test /admin/x', 'admin'],
    ['GET a.test /admin/x/y', 'admin'],
    ['GET a.test /administrator', 'all'],
    ['GET a.test /admi', 'all'],
    ['GET a.test /admin.', 'all'],
    ['GET a.test /admin/a/b', 'admin-deep'],
    ['GET a.test /admin/a/b/', 'admin-deep'],
    ['GET a.test /admin/a/b/c', 'admin-deep'],
    ['GET a.test /admin/a/bc', 'admin'],
    ['GET a.test /admin/a', 'admin'],
    ['GET a.test /admin/b/x', 'admin'],
    ['GET a.test /other/b/x', 'abx | other | b'],
    ['GET a.test /other/b/y', 'all'],
    ['GET a.test /a%20b/%C3%A9', 'spaced'],
    ['GET a.test /a%20b/\xc3\xa9', 'spaced'],
    ['GET a.test /users/@me', 'me'],
    ['GET a.test /users/%40me', 'me'],
    ['GET a.test /users/a+b', 'plus'],
    ['GET a.test /users/a%2bb', 'plus'],
    ['OPTIONS a.test *', 'all'],
    ['GET a.test http://a.test/orders', 'orders'],
    ['GET a.test http://a.test', 'root'],
  ])
  assert.equal(ran, 60, 'path cases')
})

test('the most specific host wins, and less specific ones take what it has no route for', () => {
  const routes = [
    testRoute('exact', '/a', { host: 'api.example.com' }),
    testRoute('exact-post', '/p', { host: 'api.example.com', methods: ['POST'] }),
    testRoute('wild', '/*', { host: '*.example.com' }),
    testRoute('wild-deep', '/a', { host: '*.eu.example.com' }),
    testRoute('wild-p', '/p', { host: '*.example.com', methods: ['PUT'] }),
    testRoute('any-a', '/a'),
    testRoute('any-b', '/b/{x}'),
  ]
  const ran = check(routes, [
    ['GET api.example.com /a', 'exact'],
    ['GET api.example.com /b/1', 'wild'],
    ['GET api.example.com /zzz', 'wild'],
    ['POST api.example.com /p', 'exact-post'],
    ['PUT api.example.com /p', 'wild-p'],
    ['GET api.example.com /p', 'wild'],
    ['GET www.example.com /a', 'wild'],
    ['GET x.y.z.example.com /a', 'wild'],
    ['GET x.eu.example.com /a', 'wild-deep'],
    ['GET y.x.eu.example.com /a', 'wild-deep'],
    ['GET x.eu.example.com /b', 'wild'],
    ['GET eu.example.com /a', 'wild'],
    ['GET example.com /a', 'any-a'],
    ['GET badexample.com /a', 'any-a'],
    ['GET example.com /b/7', 'any-b | 7'],
    ['GET example.com /zzz', 'route-not-found'],
    ['GET api.example.com.evil.test /a', 'any-a'],
    ['GET 192.0.2.1 /a', 'any-a'],
    ['GET [::1] /a', 'any-a'],
  ])
  assert.equal(ran, 19, 'host cases')
  const noHost = testExchange('/a', 'GET', '')
  assert.equal(compileRouter(routes).match(noHost), null)
  assert.equal(noHost.route?.name, 'any-a')
})

test('404 and 405 are told apart, and Allow names what would be answered', () => {
  const routes = [
    testRoute('get', '/a', { methods: ['GET'] }),
    testRoute('post', '/a', { methods: ['POST'] }),
    testRoute('head', '/h', { methods: ['HEAD'] }),
    testRoute('head-get', '/h', { methods: ['GET'] }),
    testRoute('put', '/p/{id}', { methods: ['PUT'] }),
    testRoute('put-new', '/p/new', { methods: ['DELETE'] }),
    testRoute('p-all', '/p/*', { methods: ['PATCH'] }),
    testRoute('opt', '/o', { methods: ['OPTIONS', 'GET'] }),
    testRoute('cond', '/c', { methods: ['GET'], headers: [['x-v', '1']] }),
    testRoute('cond-post', '/c', { methods: ['POST'] }),
    testRoute('fallback', '/f', { methods: ['GET'] }),
    testRoute('fallback-all', '/f/*'),
    testRoute('custom', '/x', { methods: ['PURGE'] }),
  ]
  const ran = check(routes, [
    ['GET a.test /a', 'get'],
    ['HEAD a.test /a', 'get'],
    ['POST a.test /a', 'post'],
    ['PUT a.test /a', 'method-not-allowed | GET, HEAD, POST'],
    ['get a.test /a', 'method-not-allowed | GET, HEAD, POST'],
    ['GET a.test /', 'route-not-found'],
    ['GET a.test /a/', 'route-not-found'],
    ['HEAD a.test /h', 'head'],
    ['GET a.test /h', 'head-get'],
    ['PUT a.test /h', 'method-not-allowed | GET, HEAD'],
    ['PUT a.test /p/7', 'put | 7'],
    ['PUT a.test /p/new', 'put | new'],
    ['DELETE a.test /p/new', 'put-new'],
    ['PATCH a.test /p/new', 'p-all'],
    ['PATCH a.test /p', 'p-all'],
    ['GET a.test /p/new', 'method-not-allowed | DELETE, PATCH, PUT'],
    ['GET a.test /p/7', 'method-not-allowed | PATCH, PUT'],
    ['DELETE a.test /p/7', 'method-not-allowed | PATCH, PUT'],
    ['GET a.test /p', 'method-not-allowed | PATCH'],
    ['OPTIONS a.test /o', 'opt'],
    ['PUT a.test /o', 'method-not-allowed | GET, HEAD, OPTIONS'],
    ['OPTIONS a.test /a', 'method-not-allowed | GET, HEAD, POST'],
    ['GET a.test /c', 'method-not-allowed | POST'],
    ['GET a.test /c', 'cond', [['X-V', '1']]],
    ['PUT a.test /c', 'method-not-allowed | GET, HEAD, POST', [['X-V', '1']]],
    ['PUT a.test /c', 'method-not-allowed | POST', [['X-V', '2']]],
    ['GET a.test /f', 'fallback'],
    ['POST a.test /f', 'fallback-all'],
    ['PURGE a.test /x', 'custom'],
    ['OPTIONS a.test *', 'route-not-found'],
  ])
  assert.equal(ran, 30, 'method cases')
})

test('a condition that does not hold leads to less specific routes, then to 404', () => {
  const routes = [
    testRoute('both', '/a', { headers: [['x-v', '2']], query: [['q', 'a b']] }),
    testRoute('header', '/a', { headers: [['x-v', '2']] }),
    testRoute('method', '/a', { methods: ['POST'] }),
    testRoute('plain', '/{any}'),
    testRoute('inner', '/in', { from: new CidrSet(['192.0.2.0/24']) }),
    testRoute('outer', '/out', { from: new CidrSet(['198.51.100.0/24']) }),
    testRoute('query', '/q/x', {
      query: [
        ['é', '1&2'],
        ['flag', ''],
      ],
    }),
  ]
  const v2: Fields = [['X-V', '2']]
  const ran = check(routes, [
    ['GET a.test /a?q=a%20b', 'both', v2],
    ['GET a.test /a?q=a+b', 'both', v2],
    ['GET a.test /a?x=1&q=a+b&y', 'both', v2],
    ['GET a.test /a?%71=a%20%62', 'both', v2],
    ['GET a.test /a?q=a', 'header', v2],
    ['GET a.test /a?q=a+bc', 'header', v2],
    ['GET a.test /a?qq=a+b', 'header', v2],
    ['GET a.test /a', 'header', v2],
    ['POST a.test /a?q=a+b', 'method', v2],
    ['POST a.test /a', 'method'],
    ['GET a.test /a', 'plain | a'],
    ['GET a.test /a?q=a+b', 'plain | a', [['X-V', '3']]],
    [
      'GET a.test /a',
      'plain | a',
      [
        ['X-V', '2'],
        ['X-V', '2'],
      ],
    ],
    ['GET a.test /in', 'inner'],
    ['GET a.test /out', 'plain | out'],
    ['GET a.test /q/x?%C3%A9=1%262&flag', 'query'],
    ['GET a.test /q/x?\xc3\xa9=1%262&flag=', 'query'],
    ['GET a.test /q/x?flag&%c3%a9=1%262', 'query'],
    ['GET a.test /q/x?%C3%A9=1&2&flag', 'route-not-found'],
    ['GET a.test /q/x?%C3%A9=1%262', 'route-not-found'],
    ['GET a.test /q/x?%C3%A9=1%262&flag=1', 'route-not-found'],
    ['GET a.test /q/x?%C3%A9=1%26&flag=%', 'route-not-found'],
    ['GET a.test /q/x', 'route-not-found'],
  ])
  assert.equal(ran, 23, 'condition cases')
})

test('a CORS preflight takes the route of the method it asks for', () => {
  const routes = [
    testRoute('get', '/a', { methods: ['GET'] }),
    testRoute('put', '/a', { methods: ['PUT'] }),
    testRoute('own', '/o', { methods: ['OPTIONS'] }),
    testRoute('own-put', '/o', { methods: ['PUT'] }),
    testRoute('any', '/any'),
    testRoute('any-put', '/any', { methods: ['PUT'] }),
    testRoute('under', '/u/*', { methods: ['OPTIONS'] }),
    testRoute('under-get', '/u/x', { methods: ['GET'] }),
  ]
  const asks = (method: string): Fields => [
    ['Origin', 'https://app.test'],
    ['Access-Control-Request-Method', method],
  ]
  const ran = check(routes, [
    ['OPTIONS a.test /a', 'get', asks('GET')],
    ['OPTIONS a.test /a', 'get', asks('HEAD')],
    ['OPTIONS a.test /a', 'put', asks('PUT')],
    ['OPTIONS a.test /a', 'method-not-allowed | GET, HEAD, PUT', asks('DELETE')],
    ['OPTIONS a.test /a', 'method-not-allowed | GET, HEAD, PUT', [['Origin', 'https://app.test']]],
    ['OPTIONS a.test /a', 'method-not-allowed | GET, HEAD, PUT', [['Access-Control-Request-Method', 'GET']]],
    ['GET a.test /a', 'get', asks('PUT')],
    ['OPTIONS a.test /o', 'own', asks('PUT')],
    ['OPTIONS a.test /any', 'any-put', asks('PUT')],
    ['OPTIONS a.test /any', 'any', asks('GET')],
    ['OPTIONS a.test /u/x', 'under-get', asks('GET')],
    ['OPTIONS a.test /u/x', 'under', asks('PUT')],
    ['OPTIONS a.test /u/x', 'under'],
  ])
  assert.equal(ran, 13, 'preflight cases')
})

test('a path is refused when another reading of it leads to another route, and only then', () => {
  const routes = [
    testRoute('admin', '/admin/*'),
    testRoute('all', '/*'),
    testRoute('project', '/projects/{id}', { host: 'git.test' }),
    testRoute('api', '/api/*', { host: 'git.test' }),
  ]
  const ran = check(routes, [
    ['GET a.test /group%2Fname', 'all'],
    ['GET a.test /a;b=c', 'all'],
    ['GET a.test /100%25', 'all'],
    ['GET a.test /a%252Fb', 'all'],
    ['GET a.test /admin;x', 'all | ! path-ambiguous'],
    ['GET a.test /admin%2Fx', 'all | ! path-ambiguous'],
    ['GET a.test /%2561dmin', 'all | ! path-ambiguous'],
    ['GET a.test /admin%3Fx', 'all | ! path-ambiguous'],
    ['GET a.test /x/..;/y', 'all | ! path-ambiguous'],
    ['GET a.test /admin/a;b', 'admin'],
    ['GET a.test /admin/a%2Fb', 'admin'],
    ['GET git.test /api/projects/group%2Fname', 'api'],
    ['GET git.test /api/projects/group%2fname;v=1', 'api'],
    ['GET git.test /projects/group%2Fname', 'project | group%2Fname | ! path-ambiguous'],
    ['GET git.test /projects/group;v=1', 'project | group;v=1'],
    ['GET git.test /projects/100%25', 'project | 100%25'],
    ['GET git.test /api%2Fx', 'all | ! path-ambiguous'],
    ['GET a.test /admin%00', 'all | ! path-invalid'],
    ['GET a.test /admin/%zz', 'admin | ! path-invalid'],
  ])
  assert.equal(ran, 19, 'reading cases')
})

test('a reading that leads to 404 is refused: the endpoint would serve what the edge does not publish', () => {
  const ran = check(
    [testRoute('project', '/projects/{id}')],
    [['GET a.test /projects/a%2Fb', 'project | a%2Fb | ! path-ambiguous']],
  )
  assert.equal(ran, 1)
})
