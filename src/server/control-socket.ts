import { unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { type ControlRequest, MAX_REQUEST_BYTES, type ReloadReply, type StatusReply } from './control-messages.ts'
import { type ControlPlace, claimFolder, controlSocketPath, isAlive, listControlSockets } from './control-path.ts'

const MAX_CONNECTIONS = 16
/** For the request to arrive. The answer may take as long as a reload does. */
const REQUEST_TIMEOUT_MS = 5_000

export interface ControlHandlers {
  status(): Promise<StatusReply>
  reload(): Promise<ReloadReply>
}

export interface ControlSocket {
  readonly path: string
  /** Stops answering and removes the socket file. */
  close(): void
}

/**
 * Opens this process's control socket, readable by its own user only, and removes those that dead processes left.
 * Rejects when the folder cannot be written: the edge runs without it then, and only signals reload it.
 */
export function openControlSocket(place: ControlPlace, handlers: ControlHandlers): Promise<ControlSocket> {
  const path = controlSocketPath(place, process.pid)
  const server = createServer((socket) => serve(socket, handlers))
  server.maxConnections = MAX_CONNECTIONS
  return new Promise((resolve, reject) => {
    claimFolder(place)
    for (const stale of listControlSockets(place)) {
      // A socket of our own id is left by a dead process that had the same number.
      if (stale.pid === process.pid || !isAlive(stale.pid)) remove(stale.path)
    }
    server.once('error', reject)
    server.once('listening', () => {
      server.removeListener('error', reject)
      // A failed accept (no file descriptor left) must not end the edge.
      server.on('error', () => {})
      resolve({ path, close: () => close(server) })
    })
    // The mode must be right from the first moment, so chmod after it would be too late. The bind happens inside listen().
    const umask = process.umask(0o177)
    try {
      server.listen(path)
    } finally {
      process.umask(umask)
    }
    server.unref()
  })
}

function serve(socket: Socket, handlers: ControlHandlers): void {
  let text = ''
  socket.setEncoding('utf8')
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  const onData = (chunk: string): void => {
    text += chunk
    const end = text.indexOf('\n')
    if (end === -1) {
      if (text.length > MAX_REQUEST_BYTES) socket.destroy()
      return
    }
    socket.removeListener('data', onData)
    socket.setTimeout(0)
    socket.resume()
    answer(text.slice(0, end), handlers).then(
      (reply) => socket.end(`${JSON.stringify(reply)}\n`),
      () => socket.destroy(),
    )
  }
  socket.on('data', onData)
}

function answer(line: string, handlers: ControlHandlers): Promise<StatusReply | ReloadReply> {
  switch (parseRequest(line)?.command) {
    case 'status':
      return handlers.status()
    case 'reload':
      return handlers.reload()
    default:
      return Promise.resolve({ ok: false, lines: ['unknown command'] })
  }
}

function parseRequest(line: string): Partial<ControlRequest> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : null
  } catch {
    return null
  }
}

function close(server: Server): void {
  // Closing a unix server removes its file.
  server.close()
}

function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Someone else was faster, or may not: the new socket has another name.
  }
}
