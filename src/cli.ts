import { createAsker } from './cli/ask.ts'
import type { Terminal } from './cli/command.ts'
import { main } from './cli/main.ts'

const asker = createAsker(process.stdin, process.stdout)
const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  env: process.env,
  ask: asker.ask,
}

const args = process.argv.slice(2)
// Until the edge takes its signals over: SIGHUP would end it and SIGUSR1 open Node's debugger, and neither has work to do yet.
if (args[0] === 'run') for (const early of ['SIGHUP', 'SIGUSR1'] as const) process.on(early, () => {})
// `sallyport schema | head` is no error.
if (args[0] !== 'run')
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
const status = await main(args, terminal)
asker.close()
process.exitCode = status
// The edge has drained: what is still open then must not keep the process alive.
if (args[0] === 'run') process.exit(status)
