import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { type Request, readRequest } from './wire.ts'

/** Answers one request by hand. */
export type Script = (socket: Socket, request: Request) => void

/** A server that reads strictly, records every request, and answers with the target it got or with a script. */
export class RecordingBackend {
  /** Whole requests in the order of their arrival. */
  requests: Request[] = []
  /** Text that never became a whole request, of connections that have ended. */
  fragments: string[] = []
  /** Answers requests whose target contains `piece`; null: every answer is the target. */
  script: { readonly piece: string; readonly run: Script } | null = null
  readonly #server = new RawBackend((socket) => this.#serve(socket))

  /** Listens on 127.0.0.1; returns the port. */
  listen(port = 0): Promise<number> {
    return this.#server.listen(port)
  }

  close(): Promise<void> {
    return this.#server.close()
  }

  clear(): void {
    this.requests = []
    this.fragments = []
  }

  #serve(socket: Socket): void {
    let text = ''
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      if (text !== '') this.fragments.push(text)
    })
    socket.on('data', (data: Buffer) => {
      text += data.latin1Slice()
      for (let request = readRequest(text); request !== null; request = text === '' ? null : readRequest(text)) {
        text = text.slice(request.end)
        this.requests.push(request)
        this.#answer(socket, request)
      }
    })
  }

  #answer(socket: Socket, request: Request): void {
    if (this.script !== null && request.target.includes(this.script.piece)) {
      this.script.run(socket, request)
      return
    }
    const echo = request.method === 'HEAD' ? '' : `<${request.target}>`
    send(socket, `HTTP/1.1 200 OK\r\nContent-Length: ${echo.length}\r\n\r\n${echo}`)
  }
}

/** A server that hands every connection to `onConnection`, which may be replaced from test to test. */
export class RawBackend {
  onConnection: (socket: Socket) => void
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(onConnection: (socket: Socket) => void) {
    this.onConnection = onConnection
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.#sockets.delete(socket))
      this.onConnection(socket)
    })
  }

  /** Listens on 127.0.0.1; returns the port. */
  async listen(port = 0): Promise<number> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return address.port
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** Writes text whose characters are bytes; nothing happens when the connection is gone. */
export function send(socket: Socket, text: string): void {
  if (!socket.destroyed && socket.writable) socket.write(Buffer.from(text, 'latin1'))
}
