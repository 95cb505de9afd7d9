import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

/** Longest answer that is taken, in characters. */
const MAX_ANSWER = 1000

/** Asks questions on a pair of streams. Answers may come before their question, as they do through a pipe. */
export function createAsker(input: Readable, output: Writable) {
  let reader: Interface | null = null
  let lines: AsyncIterator<string> | null = null
  return {
    /** Returns the next line, at most 1,000 characters of it; null when the input has ended. */
    async ask(question: string): Promise<string | null> {
      if (lines === null) {
        reader = createInterface({ input, terminal: false })
        lines = reader[Symbol.asyncIterator]()
      }
      output.write(question)
      const next = await lines.next()
      return next.done === true ? null : next.value.slice(0, MAX_ANSWER)
    },
    /** Lets go of the input. */
    close(): void {
      reader?.close()
      input.pause()
    },
  }
}
