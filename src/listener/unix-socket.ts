import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { createConnection } from 'node:net'

/**
 * Removes the socket file a killed process left behind, so that its path can be listened on again.
 * Rejects when something answers there, or when the path is no socket.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return
  if (!stat.isSocket()) throw new Error(`${path} exists and is not a socket`)
  if (await answers(path)) throw new Error(`${path} is in use by another process`)
  unlinkSync(path)
}

/** Lets the socket's owner and group connect, and nobody else. */
export function restrictSocket(path: string): void {
  chmodSync(path, 0o660)
}

/** True also when it cannot be told: only a refused connection proves that nobody listens. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection({ path })
    probe.on('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
  })
}
