import { parseArgs } from 'node:util'
import { CONFIG_OPTION, type Command } from './command.ts'

/** `sallyport reload`: makes the running edge read its configuration again. */
export const reloadCommand: Command = {
  usage: 'reload [-c FILE]',
  summary: 'make the running edge read its configuration again',
  async run(args, terminal) {
    const { values } = parseArgs({ args, options: CONFIG_OPTION })
    const { requestReload } = await import('../server/control-client.ts')
    const { ok, lines, badConfig } = await requestReload(values.config)
    for (const line of lines) {
      if (ok) terminal.out(`${line}\n`)
      else terminal.err(`${line}\n`)
    }
    if (badConfig) return 2
    return ok ? 0 : 1
  },
}
