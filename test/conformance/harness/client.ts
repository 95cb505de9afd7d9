import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** What came back on one connection. */
export interface Received {
  /** Every byte, as latin1. */
  readonly text: string
  /** The peer ended or reset the connection. */
  readonly closed: boolean
}

export interface ExchangeOptions {
  /** True once `text` holds all that is waited for; then only `quietMs` more are spent listening. */
  readonly done: (text: string) => boolean
  /** How long after `done` something unasked may still come. */
  readonly quietMs: number
  /** End of patience. */
  readonly limitMs: number
  /** Send a FIN after the last piece. */
  readonly halfClose?: boolean
}

/** Sends the pieces one after the other, each in a segment of its own, and listens until it is done. */
export function exchange(port: number, pieces: readonly string[], options: ExchangeOptions): Promise<Received> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    let text = ''
    let quiet: NodeJS.Timeout | undefined
    const finish = (closed: boolean): void => {
      clearTimeout(quiet)
      clearTimeout(patience)
      socket.destroy()
      resolve({ text, closed })
    }
    const patience = setTimeout(finish, options.limitMs, false)
    const look = (): void => {
      clearTimeout(quiet)
      if (options.done(text)) quiet = setTimeout(finish, options.quietMs, false)
    }
    socket.on('connect', () => void sendPieces(socket, pieces, options.halfClose === true))
    socket.on('data', (data: Buffer) => {
      text += data.latin1Slice()
      look()
    })
    socket.on('error', () => finish(true))
    socket.on('end', () => finish(true))
  })
}

async function sendPieces(socket: Socket, pieces: readonly string[], halfClose: boolean): Promise<void> {
  for (const [i, piece] of pieces.entries()) {
    if (socket.destroyed) return
    // A pause between two segments: without it the receiving side may read both at once.
    if (i > 0) await delay(2)
    socket.write(Buffer.from(piece, 'latin1'))
  }
  if (halfClose) socket.end()
}

/** A connection to talk on step by step. */
export class Talk {
  readonly socket: Socket
  /** Every byte received so far, as latin1. */
  text = ''
  ended = false
  #wake: (() => void) | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (data: Buffer) => {
      this.text += data.latin1Slice()
      this.#wake?.()
    })
    const end = (): void => {
      this.ended = true
      this.#wake?.()
    }
    socket.on('end', end)
    socket.on('error', end)
    socket.on('close', end)
  }

  static async open(port: number, localAddress = '127.0.0.1'): Promise<Talk> {
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true, allowHalfOpen: true })
    await once(socket, 'connect')
    return new Talk(socket)
  }

  send(text: string): void {
    this.socket.write(Buffer.from(text, 'latin1'))
  }

  /** Waits until the received text matches; throws with what came instead after `limitMs` or at the end. */
  async until(what: (text: string) => boolean, why: string, limitMs = 3000): Promise<void> {
    await this.#wait(() => what(this.text) || this.ended, why, limitMs)
    if (!what(this.text)) throw new Error(`${why}: the connection ended after ${JSON.stringify(this.text.slice(-300))}`)
  }

  /** Waits until the peer has ended the connection. */
  async untilEnd(why: string, limitMs = 3000): Promise<void> {
    await this.#wait(() => this.ended, why, limitMs)
  }

  close(): void {
    this.socket.destroy()
  }

  async #wait(ready: () => boolean, why: string, limitMs: number): Promise<void> {
    const deadline = Date.now() + limitMs
    while (!ready()) {
      const left = deadline - Date.now()
      if (left <= 0)
        throw new Error(`${why}: not within ${limitMs} ms; received ${JSON.stringify(this.text.slice(-300))}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = null
    }
  }
}
