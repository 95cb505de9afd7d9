/**
 * Loaded before the program (`NODE_OPTIONS=--import=…`), so that a test can end a data thread of a real edge from outside:
 * each listens on a socket in the folder `SALLYPORT_TEST_KILLER` and dies in the way it is told there.
 */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { isMainThread, threadId, workerData } from 'node:worker_threads'

const folder = process.env.SALLYPORT_TEST_KILLER
const slot: unknown = isMainThread ? undefined : (workerData as { slot?: unknown } | null)?.slot

if (folder !== undefined && typeof slot === 'number') {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', (way) => {
      switch (String(way)) {
        case 'throw':
          setImmediate(() => {
            throw new Error('killed by the test')
          })
          break
        case 'reject':
          void Promise.reject(new Error('killed by the test'))
          break
        case 'exit':
          process.exit(7)
      }
    })
  })
  server.listen(join(folder, `slot-${slot}.${threadId}`)).unref()
}
