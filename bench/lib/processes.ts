import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Clock ticks per second of /proc/PID/stat: 100 on every Linux that Debian ships. */
const TICKS_PER_SECOND = 100

/** A program under measurement, with all it starts. */
export class Program {
  readonly child: ChildProcess
  /** Everything it has printed. */
  output = ''

  /** @param cpus list for taskset, such as `0` or `0,1` */
  constructor(command: readonly string[], cpus: string) {
    this.child = spawn('taskset', ['-c', cpus, ...command], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    const keep = (data: Buffer): void => {
      // Access logs go to files; what comes here is little, but a mistake must not eat the memory.
      if (this.output.length < 1 << 20) this.output += data.toString()
    }
    this.child.stdout?.on('data', keep)
    this.child.stderr?.on('data', keep)
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`did not start: ${this.child.spawnargs.join(' ')}`)
    return this.child.pid
  }

  /** Waits until it accepts connections; throws with its output when it ends before, or after 20 s. */
  async listening(port: number): Promise<void> {
    for (let tries = 0; tries < 400; tries++) {
      if (this.child.exitCode !== null) break
      if (await accepts(port)) return
      await delay(50)
    }
    throw new Error(`nothing listens on ${port}:\n${this.child.spawnargs.join(' ')}\n${this.output}`)
  }

  /** SIGTERM to the whole group, SIGKILL after 5 s. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = once(this.child, 'exit')
    this.#signal('SIGTERM')
    const timer = setTimeout(() => this.#signal('SIGKILL'), 5000)
    await ended
    clearTimeout(timer)
    this.#signal('SIGKILL')
  }

  /** CPU time used so far, user and system, of the process and all its descendants, in microseconds. */
  cpuUs(): number {
    return processTree(this.pid).reduce((sum, pid) => sum + cpuTicks(pid), 0) * (1e6 / TICKS_PER_SECOND)
  }

  /** Resident memory of the process and all its descendants, in bytes. Pages that several share count several times. */
  rssBytes(): number {
    return processTree(this.pid).reduce((sum, pid) => sum + rssOf(pid), 0)
  }

  #signal(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal)
    } catch {
      // The group is gone already.
    }
  }
}

/** Ports on 127.0.0.1 that nobody listened on just now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  const ports: number[] = []
  for (const server of servers) {
    if (!server.listening) await once(server, 'listening')
    const address = server.address()
    if (address !== null && typeof address !== 'string') ports.push(address.port)
  }
  for (const server of servers) {
    server.close()
    await once(server, 'close')
  }
  return ports
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

function processTree(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    const parent = /^\d+$/.test(entry) ? statFields(Number(entry))?.[1] : undefined
    if (parent === undefined) continue
    children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(entry)])
  }
  const tree = [root]
  for (const pid of tree) tree.push(...(children.get(pid) ?? []))
  return tree
}

/** Fields of /proc/PID/stat from the state on (proc(5): field 3); null when the process is gone. */
function statFields(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name before it may hold anything, parentheses too.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

function cpuTicks(pid: number): number {
  const fields = statFields(pid)
  return fields === null ? 0 : Number(fields[11]) + Number(fields[12])
}

function rssOf(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}
