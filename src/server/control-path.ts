import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'

/** The kernel's limit for a unix socket's path is 108 bytes (104 on macOS), its final NUL included. */
const MAX_PATH_BYTES = 100
/** Room for the longest process id on Linux, 2^22. */
const PID_DIGITS = 7

/** Where the control sockets of one state store are: `<folder>/<prefix>.<pid>.sock`. */
export interface ControlPlace {
  readonly folder: string
  readonly prefix: string
  /** The folder is ours under the system's temporary one, and must belong to this user alone. */
  readonly private: boolean
}

/**
 * The place of the control sockets of a configuration file: beside its SQLite store, or beside the file itself where the
 * store is elsewhere (`postgres://…`). Where the path would be too long for a socket, a folder of this user under the
 * system's temporary one, with a hash of the long path as prefix; edge and client compute the same.
 */
export function controlPlace(configFile: string, store: string): ControlPlace {
  const beside = store.startsWith('sqlite:') ? store.slice('sqlite:'.length) : configFile
  const path = resolve(dirname(resolve(configFile)), beside)
  if (Buffer.byteLength(`${path}..sock`) + PID_DIGITS <= MAX_PATH_BYTES) {
    return { folder: dirname(path), prefix: basename(path), private: false }
  }
  const user = process.getuid?.() ?? 0
  const prefix = createHash('sha256').update(path).digest('hex').slice(0, 16)
  return { folder: join(tmpdir(), `sallyport-${user}`), prefix, private: true }
}

/** The socket of the process `pid` at this place. */
export function controlSocketPath(place: ControlPlace, pid: number): string {
  return join(place.folder, `${place.prefix}.${pid}.sock`)
}

/** Makes sure that the folder is there and may hold a control socket. Throws when it belongs to someone else. */
export function claimFolder(place: ControlPlace): void {
  if (!place.private) return
  mkdirSync(place.folder, { recursive: true, mode: 0o700 })
  if (!ownedByUs(place.folder)) throw new Error(`${place.folder} belongs to another user`)
  chmodSync(place.folder, 0o700)
}

/** The control sockets at this place, also of dead processes. Empty when the folder is missing or not to be trusted. */
export function listControlSockets(place: ControlPlace): { readonly pid: number; readonly path: string }[] {
  // Anyone may make a folder of this name under /tmp, and answer there in the edge's name.
  if (place.private && !ownedByUs(place.folder)) return []
  let names: string[]
  try {
    names = readdirSync(place.folder)
  } catch {
    return []
  }
  const found = []
  for (const name of names) {
    if (!name.startsWith(`${place.prefix}.`) || !name.endsWith('.sock')) continue
    const digits = name.slice(place.prefix.length + 1, -'.sock'.length)
    if (/^[1-9][0-9]{0,9}$/.test(digits)) found.push({ pid: Number(digits), path: join(place.folder, name) })
  }
  return found
}

/** True when a process of this id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function ownedByUs(folder: string): boolean {
  try {
    const stat = lstatSync(folder)
    return stat.isDirectory() && stat.uid === (process.getuid?.() ?? stat.uid)
  } catch {
    return false
  }
}
