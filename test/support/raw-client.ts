import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'

/** What came of a raw connection. */
export interface RawAnswer {
  readonly text: string
  /** The connection ended with an error, such as ECONNRESET; null for a clean end. */
  readonly error: string | null
}

const LIMIT_MS = 15_000

/** Connects to a local port; errors are the caller's only where it looks for them. */
export async function connectTo(port: number, host = '127.0.0.1', localAddress?: string): Promise<Socket> {
  const socket = createConnection({ port, host, allowHalfOpen: true, noDelay: true, localAddress })
  await once(socket, 'connect')
  socket.on('error', () => {})
  return socket
}

/** Reads until the other side ends the connection; destroys it after 15 s. */
export function readToEnd(socket: Socket): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let text = ''
    let error: string | null = null
    const timer = setTimeout(() => {
      error = 'still open'
      socket.destroy()
    }, LIMIT_MS)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', (problem: NodeJS.ErrnoException) => {
      error = problem.code ?? problem.message
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      clearTimeout(timer)
      resolve({ text, error })
    })
    socket.resume()
  })
}

/** Sends bytes on a new connection and reads to its end. */
export async function exchangeBytes(port: number, bytes: string | Buffer, localAddress?: string): Promise<RawAnswer> {
  const socket = await connectTo(port, '127.0.0.1', localAddress).catch((error: NodeJS.ErrnoException) => error)
  // Reset before the connect was even reported.
  if (socket instanceof Error) return { text: '', error: socket.code ?? socket.message }
  const answer = readToEnd(socket)
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  return answer
}

/** Sends bytes and reads until `done` of what came so far holds; the connection stays open. */
export function askOpen(socket: Socket, bytes: string, done: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const timer = setTimeout(() => reject(new Error(`no answer in time, only: ${text}`)), LIMIT_MS)
    const finish = (): void => {
      clearTimeout(timer)
      socket.off('data', read)
      socket.off('close', gone)
    }
    const read = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      if (!done(text)) return
      finish()
      resolve(text)
    }
    const gone = (): void => {
      finish()
      reject(new Error(`closed after: ${text}`))
    }
    socket.on('data', read)
    socket.on('close', gone)
    socket.write(Buffer.from(bytes, 'latin1'))
  })
}
