import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { CidrSet } from '../../src/base/cidr.ts'
import { TimerWheel } from '../../src/base/timer-wheel.ts'
import { ConnectionInfo } from '../../src/core/connection-info.ts'
import type { Exchange } from '../../src/core/exchange.ts'
import type { Policy } from '../../src/core/policy.ts'
import type { FixedResponse, Rewrite } from '../../src/core/route.ts'
import type { ConnectionSettings } from '../../src/http/h1/connection-settings.ts'
import { compileChain } from '../../src/policies/registry.ts'
import { CompiledRoute } from '../../src/proxy/compiled-route.ts'
import { type ConnectionPlace, H1Entry } from '../../src/proxy/h1-entry.ts'
import { Handler } from '../../src/proxy/handle.ts'
import { compileRouter } from '../../src/proxy/router/router.ts'
import { UNLIMITED } from '../../src/upstream/admission/admission.ts'
import { ConcurrencyGate } from '../../src/upstream/admission/concurrency-gate.ts'
import { dateField } from '../../src/upstream/date-field.ts'
import { EndpointSet } from '../../src/upstream/endpoints/endpoint-set.ts'
import { HttpUpstream } from '../../src/upstream/http-upstream.ts'
import { createUpstreamCells, Header, type UpstreamCells } from '../../src/upstream/shared/cells.ts'
import { sharedNowMs } from '../../src/upstream/shared/clock.ts'
import type { UpstreamSettings } from '../../src/upstream/shared/settings.ts'
import { eventually, RawEndpoint, Wire } from './wire.ts'

/** What a test wants to be different. */
export interface EdgeOptions {
  readonly limits?: Partial<ConnectionSettings['limits']>
  readonly timeouts?: Partial<ConnectionSettings['timeouts']>
  readonly upstream?: Partial<UpstreamSettings>
  /** Ports of endpoints on 127.0.0.1; default: the test's own raw endpoint. */
  readonly ports?: readonly number[]
  readonly respond?: FixedResponse
  readonly rewrite?: Rewrite
  readonly policies?: readonly Policy[]
  readonly trustedProxies?: readonly string[]
  /** Certificate and key: clients speak TLS. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Listens on a unix socket instead of a port. */
  readonly unix?: string
  /** How many times a hook or the path may throw. */
  readonly defects?: number
}

/** What is kept of an exchange when it ends. */
export interface Ended {
  readonly id: string
  readonly method: string
  readonly target: string
  readonly status: number
  readonly outcome: string
  readonly attempts: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly client: string
}

const ROUND_TRIP = '/fixed?round-trip'
const HOUR_MS = 3_600_000

/**
 * A running edge in this thread: `/fixed` is answered by the edge, everything else goes to the endpoints.
 *
 * It keeps count of what must come out even, and `close` asserts it: one end per exchange, no request in flight at an
 * endpoint, no slot of the concurrency limit held, every accepted connection released once, no socket left.
 */
export class EdgeInProcess {
  readonly ended: Ended[] = []
  readonly defects: unknown[] = []
  readonly sockets = new Set<Socket>()
  opened = 0
  accepted = 0
  released = 0
  retries = 0
  /** Attempts that ended. */
  attempts = 0
  idle = 0
  readonly settings: ConnectionSettings
  readonly upstream: HttpUpstream
  readonly set: EndpointSet
  readonly cells: UpstreamCells
  #roundTrips = 0
  readonly #options: EdgeOptions
  readonly #server: Server
  readonly #timer: NodeJS.Timeout
  readonly #before = process.getActiveResourcesInfo().filter(isSocket).length

  private constructor(options: EdgeOptions, ports: readonly number[]) {
    this.#options = options
    const wheel = new TimerWheel(() => performance.now(), 10)
    this.#timer = setInterval(() => wheel.advance(), 10)
    this.cells = createUpstreamCells(sharedNowMs(), 8, 2)
    const settings: UpstreamSettings = { ...UPSTREAM, ...options.upstream }
    this.set = new EndpointSet(
      this.cells,
      0,
      { balancer: settings.balancer, ejection: settings.ejection, slowStartMs: 0, ownZone: null },
      { random: Math.random, now: sharedNowMs, onEjected: null },
    )
    const { concurrency } = settings
    if (concurrency !== null) {
      this.cells.words[Header.LIMIT] = concurrency.limit
      this.cells.words[Header.QUEUE] = concurrency.queue
    }
    this.upstream = new HttpUpstream(settings, {
      wheel,
      set: this.set,
      admission:
        concurrency === null ? UNLIMITED : new ConcurrencyGate(this.cells, 0, concurrency.queueTimeoutMs, sharedNowMs),
      hashBy: null,
      retryFloor: 0,
      proxyHeader: null,
      onRetry: () => this.retries++,
      onAttempt: () => this.attempts++,
    })
    this.setPorts(ports)
    const chain = compileChain(options.policies ?? [])
    const common = { targets: null, respond: null, redirect: null, rewrite: null, chain }
    const routes = [
      new CompiledRoute({ name: 'fixed', match: matchOf('/fixed'), ...common, respond: options.respond ?? FIXED }, 0),
      new CompiledRoute(
        {
          name: 'all',
          match: matchOf('/*'),
          ...common,
          targets: [{ upstream: this.upstream, weight: 1 }],
          rewrite: options.rewrite ?? null,
        },
        1,
      ),
    ]
    const snapshot = {
      generation: 1,
      routes,
      matcher: compileRouter(routes),
      upstreams: new Map([[settings.name, this.upstream]]),
    }
    const handler = new Handler(snapshot, {
      now: () => performance.timeOrigin + performance.now(),
      random: Math.random,
      nextId: () => `id${++this.opened}`,
      date: dateField,
      onStart: () => {},
      onEnd: (exchange) => this.#onEnd(exchange),
      onDefect: (error) => this.defects.push(error),
    })
    const entry = new H1Entry(handler, wheel)
    this.settings = {
      limits: { headBytes: 32 * 1024, headers: 100, urlBytes: 8192, bodyBytes: 10 * 1024 * 1024, ...options.limits },
      timeouts: { headMs: HOUR_MS, bodyMs: HOUR_MS, idleMs: HOUR_MS, ...options.timeouts },
      closing: false,
    }
    const trusted = options.trustedProxies === undefined ? null : new CidrSet(options.trustedProxies)
    const accept = (socket: Socket, scheme: 'http' | 'https'): void => {
      const peer = socket.remoteAddress ?? 'unix'
      const info = new ConnectionInfo('public', peer, socket.remotePort ?? 0, scheme, null, null, trusted)
      const place = this.#place()
      entry.accept(socket, info, null, place, this.settings)
      const { socket: taken } = place.owner as unknown as { socket: Socket }
      this.sockets.add(taken)
      taken.on('close', () => this.sockets.delete(taken))
    }
    const plain = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true }
    this.#server =
      options.tls === undefined
        ? createServer(plain, (socket) => accept(socket, 'http'))
        : createTlsServer({ ...options.tls, allowHalfOpen: true }, (socket) => accept(socket, 'https'))
  }

  static async start(options: EdgeOptions, ports: readonly number[]): Promise<EdgeInProcess> {
    const edge = new EdgeInProcess(options, ports)
    if (options.unix === undefined) edge.#server.listen(0, '127.0.0.1')
    else edge.#server.listen(options.unix)
    await once(edge.#server, 'listening')
    return edge
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  /** Bytes that wait in this process for clients to take them. */
  get heldForClients(): number {
    let held = 0
    for (const socket of this.sockets) held += socket.writableLength
    return held
  }

  setPorts(ports: readonly number[]): void {
    this.upstream.update(
      ports.map((port, slot) => ({
        key: `127.0.0.1:${port}`,
        label: `127.0.0.1:${port}`,
        secure: false,
        host: '127.0.0.1',
        port,
        unixPath: null,
        address: '127.0.0.1',
        weight: 1,
        zone: null,
        slot,
      })),
    )
  }

  connect(): Promise<Wire> {
    return Wire.connect(this.port)
  }

  /** Waits for the answer to a request of its own: what was sent to the edge before has been read by then. */
  async roundTrip(): Promise<void> {
    const wire = await this.connect()
    wire.send(`GET ${ROUND_TRIP} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`)
    await wire.untilOver()
    wire.close()
  }

  /** Requests that run at endpoints now. */
  get inFlight(): number {
    let sum = 0
    for (let slot = 0; slot < this.cells.maxEndpoints; slot++) {
      sum += Atomics.load(this.cells.words, this.cells.inFlightAt(0, slot))
    }
    return sum
  }

  /** Waits until so many exchanges ended. */
  async untilEnded(count: number): Promise<Ended> {
    await eventually(
      () => this.ended.length >= count,
      () => `${count} exchanges end, ${this.ended.length} did`,
    )
    return this.ended[count - 1] as Ended
  }

  /** Closes everything and asserts that nothing is left over. */
  async close(): Promise<void> {
    this.#server.close()
    try {
      // Clients have left: whatever runs must notice by itself, connections without a request too.
      await eventually(
        () =>
          this.released === this.accepted &&
          this.ended.length + this.#roundTrips === this.opened &&
          this.inFlight === 0,
        () =>
          `${this.opened} exchanges opened and ${this.ended.length} ended, ${this.accepted} connections accepted and ` +
          `${this.released} released, ${this.inFlight} requests in flight`,
      )
      assert.equal(new Set(this.ended.map((one) => one.id)).size, this.ended.length, 'every exchange ends once')
      assert.equal(this.inFlight, 0, 'requests in flight')
      if (this.upstream.admission !== UNLIMITED) {
        assert.equal(Atomics.load(this.cells.words, Header.ADMITTED), 0, 'slots held')
        assert.equal(Atomics.load(this.cells.words, Header.WAITING), 0, 'requests waiting')
      }
      assert.equal(this.defects.length, this.#options.defects ?? 0, `defects: ${this.defects}`)
    } finally {
      this.stop()
    }
  }

  /** Ends everything without asking what is left. */
  stop(): void {
    this.#server.close()
    clearInterval(this.#timer)
    this.upstream.close()
    for (const socket of this.sockets) socket.destroy()
  }

  /** Asserts that no socket is left in this process, the endpoints' closed too. */
  async assertNoSockets(): Promise<void> {
    await eventually(
      () => process.getActiveResourcesInfo().filter(isSocket).length <= this.#before,
      () => `all sockets closed: ${process.getActiveResourcesInfo()}`,
    )
  }

  #onEnd(exchange: Exchange): void {
    if (exchange.request.target === ROUND_TRIP) {
      this.#roundTrips++
      return
    }
    this.ended.push({
      id: exchange.id,
      // Read here, as a log would: the head must still be this exchange's.
      method: exchange.request.method,
      target: exchange.request.target,
      status: exchange.status,
      outcome: exchange.outcome,
      attempts: exchange.attempts,
      bytesIn: exchange.bytesIn,
      bytesOut: exchange.bytesOut,
      client: exchange.client,
    })
  }

  #place(): ConnectionPlace {
    this.accepted++
    let idle = false
    let released = false
    const set = (now: boolean): void => {
      if (idle !== now) this.idle += now ? 1 : -1
      idle = now
    }
    return {
      owner: null,
      markIdle: () => set(true),
      markBusy: () => set(false),
      release: () => {
        assert.equal(released, false, 'a connection is released once')
        released = true
        set(false)
        this.released++
      },
    }
  }
}

/** A story on real sockets: an edge before one raw endpoint; all that the story left open is closed, then counted. */
export function story(
  name: string,
  options: EdgeOptions,
  tell: (edge: EdgeInProcess, endpoint: RawEndpoint, open: () => Promise<Wire>) => Promise<void>,
): void {
  test(name, { timeout: 60_000 }, async () => {
    const endpoint = await RawEndpoint.start()
    const clients: Wire[] = []
    const edge = await EdgeInProcess.start(options, options.ports ?? [endpoint.port])
    const open = async (): Promise<Wire> => {
      const wire = await edge.connect()
      clients.push(wire)
      return wire
    }
    try {
      await tell(edge, endpoint, open)
      for (const client of clients) client.close()
      // Endpoints stay until the edge has let go by itself.
      await edge.close()
      for (const wire of endpoint.connections) wire.readOn()
      await eventually(
        () => endpoint.connections.every((wire) => wire.ended || wire.closed),
        () => 'the edge closes its connections to the endpoint',
      )
    } finally {
      for (const client of clients) client.close()
      endpoint.close()
      edge.stop()
    }
    await edge.assertNoSockets()
  })
}

function isSocket(resource: string): boolean {
  return resource === 'TCPSocketWrap' || resource === 'TLSWrap' || resource === 'PipeWrap'
}

function matchOf(path: string): CompiledRoute['match'] {
  return { host: null, path, methods: null, headers: [], query: [], from: null }
}

const FIXED: FixedResponse = { status: 200, body: 'fixed', headers: [] }

const UPSTREAM: UpstreamSettings = {
  name: 'endpoints',
  endpoints: [],
  balancer: { name: 'least-requests', loadBound: null },
  healthCheck: null,
  ejection: null,
  concurrency: null,
  retry: null,
  slowStartMs: 0,
  dnsRefreshMs: 30_000,
  connectTimeoutMs: 2000,
  responseTimeoutMs: HOUR_MS,
  idleTimeoutMs: HOUR_MS,
  tls: null,
  proxyProtocol: null,
}
