import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

const PATIENCE_MS = 8000

/** One TCP connection in a test: what came is kept, and one can wait for it. Works as a client and as an endpoint. */
export class Wire {
  readonly socket: Socket
  /** Everything that arrived, as one-byte text. */
  text = ''
  /** Bytes that arrived, also while `keep` is false. */
  received = 0
  /** False: bytes are counted, not kept. */
  keep = true
  /** The peer sent FIN. */
  ended = false
  closed = false
  /** `ECONNRESET` and the like. */
  error: string | null = null
  readonly #waiting = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (data: Buffer) => {
      this.received += data.length
      if (this.keep) this.text += data.latin1Slice()
      this.#changed()
    })
    socket.on('end', () => {
      this.ended = true
      this.#changed()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code ?? 'error'
      this.#changed()
    })
    socket.on('close', () => {
      this.closed = true
      this.#changed()
    })
    socket.on('connect', () => this.#changed())
    socket.on('drain', () => this.#changed())
  }

  /** Connects; half-open, so that a FIN of either side leaves the other direction alone. */
  static async connect(port: number): Promise<Wire> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const wire = new Wire(socket)
    await wire.until(() => !socket.connecting || wire.closed, 'connection')
    return wire
  }

  send(text: string | Buffer): this {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
    return this
  }

  /** Sends FIN. */
  end(): this {
    this.socket.end()
    return this
  }

  /** Sends RST. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  close(): void {
    this.socket.destroy()
  }

  /** No more bytes are taken: the peer's window closes. */
  stopReading(): void {
    this.socket.pause()
  }

  readOn(): void {
    this.socket.resume()
  }

  /** Waits for a state of this connection; fails with `why` and what came so far. */
  async until(what: (wire: this) => boolean, why: string, patienceMs = PATIENCE_MS): Promise<this> {
    const deadline = performance.now() + patienceMs
    while (!what(this)) {
      const left = deadline - performance.now()
      if (left <= 0) {
        const state = `ended ${this.ended}, closed ${this.closed}, error ${this.error}, ${this.received} bytes`
        throw new Error(`waited for ${why}; ${state}: ${JSON.stringify(this.text.slice(-400))}`)
      }
      await new Promise<void>((resolve) => {
        const go = (): void => {
          clearTimeout(timer)
          this.#waiting.delete(go)
          resolve()
        }
        const timer = setTimeout(go, left)
        this.#waiting.add(go)
      })
    }
    return this
  }

  untilText(part: string): Promise<this> {
    return this.until((wire) => wire.text.includes(part), `"${part}"`)
  }

  /** FIN or the end of the connection. */
  untilOver(why = 'end'): Promise<this> {
    return this.until((wire) => wire.ended || wire.closed, why)
  }

  #changed(): void {
    for (const go of this.#waiting) go()
  }
}

/** An endpoint that does what a test says, byte by byte. */
export class RawEndpoint {
  readonly connections: Wire[] = []
  readonly port: number
  /** Called for each connection, before a test sees it. */
  onConnection: ((wire: Wire) => void) | null = null
  readonly #server: Server
  readonly #waiting = new Set<() => void>()
  #taken = 0

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
    server.on('connection', (socket: Socket) => {
      const wire = new Wire(socket)
      this.connections.push(wire)
      this.onConnection?.(wire)
      for (const go of this.#waiting) go()
    })
  }

  static async start(): Promise<RawEndpoint> {
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new RawEndpoint(server, (server.address() as { port: number }).port)
  }

  /** The next connection that the edge opens. */
  async next(): Promise<Wire> {
    const deadline = performance.now() + PATIENCE_MS
    while (this.connections.length <= this.#taken) {
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`waited for connection ${this.#taken + 1} at the endpoint`)
      await new Promise<void>((resolve) => {
        const go = (): void => {
          clearTimeout(timer)
          this.#waiting.delete(go)
          resolve()
        }
        const timer = setTimeout(go, left)
        this.#waiting.add(go)
      })
    }
    return this.connections[this.#taken++] as Wire
  }

  /** Answers every request head with what `answer` returns; `answer` gets the head and the connection. */
  answerAll(answer: (head: string, wire: Wire) => string | null): void {
    this.onConnection = (wire) => {
      let from = 0
      wire.socket.on('data', () => {
        for (;;) {
          const end = wire.text.indexOf('\r\n\r\n', from)
          if (end < 0) return
          const head = wire.text.slice(from, end + 4)
          const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
          if (wire.text.length < end + 4 + length) return
          from = end + 4 + length
          const text = answer(head, wire)
          if (text !== null) wire.send(text)
        }
      })
    }
  }

  /** Stops listening; connections stay. */
  async stopListening(): Promise<void> {
    if (!this.#server.listening) return
    this.#server.close()
    // The socket itself is gone at once; `close` waits for the connections.
  }

  close(): void {
    this.#server.close()
    for (const wire of this.connections) wire.close()
  }
}

/** Polls until something holds that no event tells of. */
export async function eventually(what: () => boolean, why: () => string, patienceMs = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + patienceMs
  while (!what()) {
    if (performance.now() > deadline) throw new Error(`never happened: ${why()}`)
    await new Promise<void>((resolve) => setTimeout(resolve, 3))
  }
}
