import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CertificatePair } from '../../src/listener/tls/secure-context.ts'
import { requestReload } from '../../src/server/control-client.ts'
import { EdgeProcess, eventually } from '../server-standin/process.ts'
import type { Ending } from './ending.ts'

const COMMAND = fileURLToPath(new URL('../../bin/sallyport', import.meta.url))

/** One line of the access log. */
export type AccessLogLine = Readonly<Record<string, unknown>>

/**
 * A folder and the edge that runs in it, started as a user would: `bin/sallyport run -c FILE`. Its access log is
 * `access.jsonl` there, for a file that says so with `ACCESS_LOG`.
 */
export class RunningEdge {
  readonly folder = mkdtempSync(join(realpathSync(tmpdir()), 'sallyport-'))
  readonly file = join(this.folder, 'sallyport.yaml')
  /** What the edge gets besides the environment of the test. */
  env: Readonly<Record<string, string>> = {}
  #process: EdgeProcess | null = null

  /** The folder and the edge in it end with the test. */
  constructor(ending: Ending) {
    ending.after(async () => {
      await this.#process?.kill()
      rmSync(this.folder, { recursive: true, force: true })
    })
  }

  /** Writes a file into the folder; relative paths in the configuration find it by its name. */
  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text)
  }

  /** Writes NAME.pem and NAME-key.pem. */
  writePair(name: string, { certificate, key }: CertificatePair): void {
    this.write(`${name}.pem`, certificate)
    this.write(`${name}-key.pem`, key)
  }

  /** Writes the configuration and starts the edge on it; resolves when it is ready. */
  async start(yaml: string, ...args: readonly string[]): Promise<EdgeProcess> {
    this.write('sallyport.yaml', yaml)
    this.#process = new EdgeProcess(
      ['run', '-c', this.file, ...args],
      { env: { ...process.env, ...this.env } },
      COMMAND,
    )
    await this.#process.ready()
    return this.#process
  }

  get process(): EdgeProcess {
    if (this.#process === null) throw new Error('the edge was not started')
    return this.#process
  }

  /** Port of a listener by its name. */
  port(listener: string): number {
    return Number(new URL(this.process.url(listener)).port)
  }

  /** Reloads the configuration; throws with what the edge said when it was refused. */
  async reload(yaml?: string): Promise<void> {
    if (yaml !== undefined) this.write('sallyport.yaml', yaml)
    const { ok, lines } = await requestReload(this.file)
    if (!ok) throw new Error(`the reload was refused:\n${lines.join('\n')}`)
  }

  /** All complete lines of the access log so far. */
  log(): AccessLogLine[] {
    const path = join(this.folder, 'access.jsonl')
    if (!existsSync(path)) return []
    const lines = readFileSync(path, 'utf8').split('\n')
    return lines.slice(0, -1).map((line) => JSON.parse(line) as AccessLogLine)
  }

  /** Waits for the access log line that satisfies `wanted`. */
  line(what: string, wanted: (line: AccessLogLine) => boolean): Promise<AccessLogLine> {
    return eventually(`access log line of ${what}`, async () => this.log().find(wanted) ?? null)
  }

  /** Waits until the log has this many lines that satisfy `wanted`, and returns those. */
  lines(count: number, what: string, wanted: (line: AccessLogLine) => boolean): Promise<AccessLogLine[]> {
    return eventually(`${count} access log lines of ${what}`, async () => {
      const found = this.log().filter(wanted)
      return found.length >= count ? found : null
    })
  }
}

/** The configuration's telemetry section that `log`, `line` and `lines` read. */
export const ACCESS_LOG = 'telemetry: { accessLog: { path: access.jsonl } }'
