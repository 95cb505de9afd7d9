import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { toolPath } from '../../../test/setup/tools.ts'

const START_MS = 10_000

/**
 * Runs HAProxy until the test ends. Resolves once it accepts.
 * @param sections the configuration but for `global`, `defaults` and timeouts
 * @param ports those it listens on
 * @param files further files in its folder, by name
 */
export async function runHaproxy(
  t: TestContext,
  sections: string,
  ports: readonly number[],
  files: Readonly<Record<string, string>> = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-haproxy-'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const base = 'global\n  maxconn 100\ndefaults\n  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n'
  writeFileSync(join(folder, 'haproxy.cfg'), `${base}${sections}`)
  const child = spawn(toolPath('haproxy'), ['-db', '-f', 'haproxy.cfg'], { cwd: folder })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  t.after(async () => {
    await stop(child)
    rmSync(folder, { recursive: true, force: true })
  })
  const deadline = Date.now() + START_MS
  for (const port of ports) {
    while (!(await accepts(port))) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error(`haproxy does not run:\n${output}`)
    }
  }
}

/** Ports that are free at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection({ port, host: '127.0.0.1' })
    probe.on('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.on('error', () => setTimeout(resolve, 20, false))
  })
}
