import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Command } from './command.ts'

/** `sallyport version`: the version of Sallyport and of the Node it runs on. */
export const versionCommand: Command = {
  usage: 'version',
  summary: 'print the version',
  async run(args, terminal) {
    parseArgs({ args, options: {} })
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
    const { version } = JSON.parse(text) as { version: string }
    terminal.out(`sallyport ${version} (Node ${process.versions.node})\n`)
    return 0
  },
}
