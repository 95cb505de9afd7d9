import { parseArgs } from 'node:util'
import { CONFIG_OPTION, type Command, UsageError } from './command.ts'

/** More data threads than any machine this runs on has processors for. */
const MAX_THREADS = 256

/** `sallyport run`: runs the edge until SIGTERM. */
export const runCommand: Command = {
  usage: 'run [-c FILE] [--threads N]',
  summary: 'run the edge; SIGHUP reloads, SIGTERM drains',
  async run(args) {
    const { values } = parseArgs({ args, options: { ...CONFIG_OPTION, threads: { type: 'string' } } })
    const threads = values.threads === undefined ? null : threadCount(values.threads)
    const { runEdge } = await import('../server/start.ts')
    return runEdge({ configFile: values.config, threads })
  },
}

/** Reads `--threads`: a number from 1 to 256, or `auto`. Throws a UsageError. */
export function threadCount(text: string): number | 'auto' {
  if (text === 'auto') return 'auto'
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > MAX_THREADS)
    throw new UsageError(`--threads must be auto or a number from 1 to ${MAX_THREADS}`)
  return count
}
