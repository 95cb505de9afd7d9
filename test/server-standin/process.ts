import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { get } from 'node:http'

const DEADLINE_MS = 20_000

/** A started edge, watched by its lines. End it in the test's `finally`. */
export class EdgeProcess {
  readonly child: ChildProcess
  readonly pid: number
  readonly exited: Promise<number | string>
  out = ''
  err = ''
  #wake: () => void = () => {}

  /** @param command what runs instead of this Node, such as `bin/sallyport` */
  constructor(
    args: readonly string[],
    options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
    command: string = process.execPath,
  ) {
    this.child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    this.pid = this.child.pid ?? 0
    this.exited = once(this.child, 'close').then(([code, signal]) => {
      this.#wake()
      return code ?? signal
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text
      this.#wake()
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += text
      this.#wake()
    })
  }

  /** Waits until the output satisfies `found`, which gives what the test wants of it. */
  async until<T>(what: string, found: () => T | null | undefined | false): Promise<T> {
    const deadline = Date.now() + DEADLINE_MS
    for (;;) {
      const result = found()
      if (result !== null && result !== undefined && result !== false) return result
      const left = deadline - Date.now()
      const ended = this.child.exitCode !== null || this.child.signalCode !== null
      if (left <= 0 || ended) {
        throw new Error(`${ended ? 'ended' : 'too late'} before: ${what}\nstdout: ${this.out}\nstderr: ${this.err}`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  async ready(): Promise<void> {
    await this.until('ready', () => this.out.split('\n').includes('ready'))
  }

  async errLine(pattern: RegExp): Promise<RegExpMatchArray> {
    return this.until(String(pattern), () => this.err.match(pattern))
  }

  /** The URL that was printed for a listener. */
  url(listener: string): string {
    const line = this.out.split('\n').find((text) => text.startsWith(`listening ${listener} `))
    if (line === undefined) throw new Error(`no listener ${listener} in ${this.out}`)
    return line.split(' ')[2]
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name)
  }

  /** For `finally`: ends the process if the test did not. */
  async kill(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL')
    await this.exited
  }
}

/** One request on a connection of its own. Rejects when the connection breaks. */
export function fetchText(url: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
      response.on('error', reject)
    })
    request.on('error', reject)
  })
}

/** Calls `probe` until it gives something else than null; for states that no output announces. */
export async function eventually<T>(what: string, probe: () => Promise<T | null>): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS
  for (;;) {
    const result = await probe()
    if (result !== null) return result
    if (Date.now() > deadline) throw new Error(`too late: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
