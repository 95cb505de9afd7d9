import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EdgeProcess } from './process.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** A folder with a configuration file, the edges that run it and the endpoints behind them; all gone after `close`. */
export class EdgeFolder {
  readonly folder = mkdtempSync(join(realpathSync(tmpdir()), 'sallyport-'))
  readonly file = join(this.folder, 'sallyport.yaml')
  readonly #edges: EdgeProcess[] = []
  readonly #endpoints: Server[] = []

  write(yaml: string): void {
    writeFileSync(this.file, yaml)
  }

  /** Starts an edge of the file as it is now, and waits until it is ready. */
  async start(...args: readonly string[]): Promise<EdgeProcess> {
    const edge = this.spawn(...args)
    await edge.ready()
    return edge
  }

  spawn(...args: readonly string[]): EdgeProcess {
    const edge = new EdgeProcess([CLI, 'run', '-c', this.file, ...args])
    this.#edges.push(edge)
    return edge
  }

  /** An endpoint on a port of its own; returns its URL. */
  async endpoint(listener: RequestListener): Promise<string> {
    const server = createServer(listener)
    this.#endpoints.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    for (const edge of this.#edges) await edge.kill()
    for (const server of this.#endpoints) {
      server.close()
      server.closeAllConnections()
    }
    rmSync(this.folder, { recursive: true })
  }
}

/** A port nobody has now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
