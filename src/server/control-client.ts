import { readFileSync, realpathSync, unlinkSync } from 'node:fs'
import { createConnection } from 'node:net'
import { type ControlRequest, MAX_REPLY_BYTES, type ReloadReply, type StatusReply } from './control-messages.ts'
import { controlPlace, isAlive, listControlSockets } from './control-path.ts'

/** What the store is when the file does not say. */
const DEFAULT_STORE = 'sqlite:sallyport.db'
const STORE = /\bstore["']?\s*:\s*["']?(sqlite:[^"'\s,}#]+)/g
const STATUS_TIMEOUT_MS = 5_000
/** A reload waits for the ones before it, and compiles in every thread. */
const RELOAD_TIMEOUT_MS = 120_000

/** A running edge of a configuration file. */
export interface RunningEdge {
  readonly path: string
  readonly status: StatusReply
}

/**
 * Makes every running edge of this configuration file read it again. `ok` when all of them run the new one; `lines` is
 * what to show. Not ok when none runs, or when one refused: that one still runs what it ran before.
 */
export async function requestReload(configFile: string): Promise<ReloadReply> {
  const edges = await findEdges(configFile)
  if (edges.length === 0) {
    return {
      ok: false,
      lines: [`no running edge found for ${configFile}; start one with: sallyport run -c ${configFile}`],
    }
  }
  const replies = await Promise.all(edges.map((edge) => reloadOne(edge)))
  return {
    ok: replies.every((reply) => reply.ok),
    // Several edges of one file find the same problems.
    lines: [...new Set(replies.flatMap((reply) => reply.lines))],
    ...(replies.some((reply) => reply.badConfig) && { badConfig: true as const }),
  }
}

/** The running edges whose configuration file is this one, by its real path. Sockets of dead processes are removed. */
export async function findEdges(configFile: string): Promise<readonly RunningEdge[]> {
  const wanted = realPath(configFile)
  const paths = new Set<string>()
  for (const store of possibleStores(configFile)) {
    // The edge was perhaps started by another name of the file, such as a symbolic link in another folder.
    for (const file of new Set([configFile, wanted])) {
      for (const socket of listControlSockets(controlPlace(file, store))) {
        if (isAlive(socket.pid)) paths.add(socket.path)
        else removeStale(socket.path)
      }
    }
  }
  const found = await Promise.all([...paths].map(askStatus))
  const edges = found.filter((edge) => edge !== null && edge.status.configFile === wanted) as RunningEdge[]
  return [...new Map(edges.map((edge) => [edge.status.pid, edge])).values()]
}

async function reloadOne(edge: RunningEdge): Promise<ReloadReply> {
  const reply = await call<ReloadReply>(edge.path, { command: 'reload' }, RELOAD_TIMEOUT_MS)
  if (reply === null) return { ok: false, lines: [`the edge with process id ${edge.status.pid} did not answer`] }
  return reply
}

async function askStatus(path: string): Promise<RunningEdge | null> {
  const status = await call<StatusReply>(path, { command: 'status' }, STATUS_TIMEOUT_MS)
  return status?.ok === true ? { path, status } : null
}

/** One request, one answer; null when there is none in time. */
function call<Reply>(path: string, request: ControlRequest, timeoutMs: number): Promise<Reply | null> {
  return new Promise((resolve) => {
    const socket = createConnection({ path })
    let text = ''
    socket.setEncoding('utf8')
    socket.setTimeout(timeoutMs, () => socket.destroy())
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.length > MAX_REPLY_BYTES) socket.destroy()
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => resolve(parseReply<Reply>(text)))
  })
}

/** The peer is a process of our own user: its shape is believed, its JSON need not be whole. */
function parseReply<Reply>(text: string): Reply | null {
  try {
    return JSON.parse(text) as Reply
  } catch {
    return null
  }
}

/**
 * The stores the running edge may have: what the file says now, the default, and none beside the file. The text is only
 * searched, since a file that does not load has an edge to tell about it all the same; a wrong guess finds no socket.
 */
function possibleStores(configFile: string): Set<string> {
  const stores = new Set([DEFAULT_STORE, 'none'])
  try {
    for (const match of readFileSync(configFile, 'utf8').matchAll(STORE)) stores.add(match[1])
  } catch {
    // Unreadable now; it was readable when the edge started.
  }
  return stores
}

function realPath(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file
  }
}

function removeStale(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Not ours to remove.
  }
}
