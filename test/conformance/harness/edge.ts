import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../../setup/source-files.ts'

/** A running edge, started from a checkout as a user would: `bin/sallyport run -c FILE`. */
export class Edge {
  readonly process: ChildProcess
  /** Folder of the configuration file; removed at the end. */
  readonly folder: string
  /** Everything on stdout and stderr so far. */
  output = ''
  /** Port of each listener by its name. */
  readonly ports = new Map<string, number>()

  private constructor(folder: string, args: readonly string[]) {
    this.folder = folder
    this.process = spawn(join(ROOT, 'bin/sallyport'), ['run', '-c', join(folder, 'sallyport.yaml'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.process.on('error', (error) => {
      this.output += String(error)
    })
  }

  /** Writes `config` to a new folder, starts the edge and waits for its `ready`. */
  static async start(config: string, args: readonly string[] = []): Promise<Edge> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
    writeFileSync(join(folder, 'sallyport.yaml'), config)
    const edge = new Edge(folder, args)
    await edge.#untilReady(20_000)
    return edge
  }

  /** Port of a listener; throws when there is none of that name. */
  port(name: string): number {
    const port = this.ports.get(name)
    if (port === undefined) throw new Error(`no listener ${name} in:\n${this.output}`)
    return port
  }

  /** SIGTERM, then waits for the exit; the status, or null after a kill. */
  async stop(): Promise<number | null> {
    const { process: child } = this
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      const kill = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await once(child, 'exit')
      clearTimeout(kill)
    }
    rmSync(this.folder, { recursive: true, force: true })
    return child.exitCode
  }

  #untilReady(limitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      let settled = false
      const fail = (why: string): void => {
        if (settled) return
        settled = true
        clearTimeout(timer)
        this.process.kill('SIGKILL')
        rmSync(this.folder, { recursive: true, force: true })
        reject(new Error(`the edge ${why}:\n${this.output}`))
      }
      const timer = setTimeout(() => fail('was not ready in time'), limitMs)
      const read = (data: Buffer): void => {
        this.output += data.toString()
        for (const match of this.output.matchAll(/^listening (\S+) \w+:\/\/\S*:(\d+)$/gm)) {
          this.ports.set(match[1] as string, Number(match[2]))
        }
        if (settled || !/^ready$/m.test(this.output)) return
        settled = true
        clearTimeout(timer)
        resolve()
      }
      this.process.stdout?.on('data', read)
      this.process.stderr?.on('data', read)
      this.process.on('exit', (code, signal) => fail(`ended with ${code ?? signal}`))
      this.process.on('error', () => fail('did not start'))
    })
  }
}
