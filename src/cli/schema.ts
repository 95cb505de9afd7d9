import { parseArgs } from 'node:util'
import { configSchema } from '../config/reference-pages.ts'
import type { Command } from './command.ts'

/** `sallyport schema`: the JSON Schema of the configuration, for editors. */
export const schemaCommand: Command = {
  usage: 'schema',
  summary: 'print the JSON Schema of the configuration, for editors',
  async run(args, terminal) {
    parseArgs({ args, options: {} })
    terminal.out(`${JSON.stringify(configSchema(), null, 2)}\n`)
    return 0
  },
}
