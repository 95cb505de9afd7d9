import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Ending } from './ending.ts'

/** How an endpoint behaves: a status, a broken connection after the request was read, or silence. */
export type Behaviour = number | 'reset' | 'hang'

/** An endpoint that does what the test says, answers with its name, and counts. */
export class Puppet {
  readonly name: string
  behaviour: Behaviour = 200
  /** Before the answer, in ms. */
  delayMs = 0
  /** Answer of `/healthz`. */
  health: Behaviour = 200
  /** Requests but those of `/healthz`. */
  hits = 0
  probes = 0
  running = 0
  mostRunning = 0
  /** The X-Test field of each request, in order. */
  readonly tags: string[] = []
  port = 0
  readonly #sockets = new Set<Socket>()
  readonly #hanging: ServerResponse[] = []
  #server: Server | null = null

  private constructor(name: string) {
    this.name = name
  }

  static async start(ending: Ending, name: string): Promise<Puppet> {
    const puppet = new Puppet(name)
    await puppet.open()
    ending.after(() => puppet.close())
    return puppet
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Listens, on the port it had. */
  async open(): Promise<void> {
    const server = createServer((request, response) => this.#answer(request, response))
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => {})
    })
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve))
    this.port = (server.address() as AddressInfo).port
    this.#server = server
  }

  /** Stops to listen and breaks its connections: connects are refused from here on. */
  async close(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    const closed = new Promise((resolve) => server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  /** Answers what hangs, or the oldest `count` of it. */
  release(count = this.#hanging.length): void {
    for (const response of this.#hanging.splice(0, count)) response.end(this.name)
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const isProbe = request.url === '/healthz'
    if (isProbe) this.probes++
    else {
      this.hits++
      this.running++
      this.mostRunning = Math.max(this.mostRunning, this.running)
      this.tags.push(String(request.headers['x-test'] ?? ''))
      response.on('close', () => this.running--)
    }
    const behaviour = isProbe ? this.health : this.behaviour
    request.resume()
    const act = (): void => {
      if (behaviour === 'reset') request.socket.resetAndDestroy()
      else if (behaviour === 'hang') this.#hanging.push(response)
      else {
        response.statusCode = behaviour
        response.end(this.name)
      }
    }
    const whole = (): void => {
      if (this.delayMs > 0 && !isProbe) setTimeout(act, this.delayMs)
      else act()
    }
    request.on('end', whole)
  }
}
