import { after } from 'node:test'

/** Ends a resource with its test: a `TestContext`, or `endOfFile()`. */
export interface Ending {
  after(callback: () => unknown): void
}

/** What ends with the last test of a file. Call it at the top level: an `after` inside of a hook ends with the hook. */
export function endOfFile(): Ending {
  const callbacks: (() => unknown)[] = []
  after(async () => {
    for (const callback of callbacks.reverse()) await callback()
  })
  return { after: (callback) => callbacks.push(callback) }
}
