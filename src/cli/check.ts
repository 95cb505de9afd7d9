import { parseArgs } from 'node:util'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig } from '../config/load.ts'
import { CONFIG_OPTION, type Command } from './command.ts'

/** `sallyport check`: says everything that is wrong with a configuration. */
export const checkCommand: Command = {
  usage: 'check [-c FILE] [--strict]',
  summary: 'check a configuration; --strict takes warnings for errors',
  async run(args, terminal) {
    const { values } = parseArgs({ args, options: { ...CONFIG_OPTION, strict: { type: 'boolean', default: false } } })
    try {
      const { warnings } = loadConfig(values.config, { env: terminal.env })
      for (const warning of warnings) terminal.err(`${values.strict ? '' : 'warning: '}${warning}\n`)
      if (values.strict && warnings.length > 0) return 2
      terminal.out('ok\n')
      return 0
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      for (const line of error.lines) terminal.err(`${line}\n`)
      return 2
    }
  },
}
