import { type Command, type Terminal, UsageError } from './command.ts'

/** The commands of this version; each is loaded when it is called. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./run.ts')).runCommand,
  check: async () => (await import('./check.ts')).checkCommand,
  reload: async () => (await import('./reload.ts')).reloadCommand,
  init: async () => (await import('./init.ts')).initCommand,
  schema: async () => (await import('./schema.ts')).schemaCommand,
  docs: async () => (await import('./docs.ts')).docsCommand,
  version: async () => (await import('./version.ts')).versionCommand,
}

/** Names that later versions have, so that a reader of the design knows he did not mistype. */
export const LATER_COMMANDS = [
  'keys',
  'explain',
  'test',
  'diff',
  'lock',
  'guard',
  'inbox',
  'waf',
  'link',
  'import',
  'synth',
  'rules',
] as const

/** Runs the command line. Returns the exit status: 0 done, 1 failed, 2 bad usage or configuration. */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name = '', ...rest] = args
  if (name === 'help' || name === '--help' || name === '-h') {
    terminal.out(await usage())
    return 0
  }
  const load = Object.hasOwn(COMMANDS, name === '--version' ? 'version' : name)
    ? COMMANDS[name === '--version' ? 'version' : name]
    : undefined
  if (load === undefined) {
    if (LATER_COMMANDS.some((later) => later === name))
      terminal.err(`sallyport ${name}: not available in this version\n`)
    else terminal.err(`${name === '' ? '' : `sallyport: unknown command ${JSON.stringify(name)}\n\n`}${await usage()}`)
    return 2
  }
  const command = await load()
  if (rest.includes('--help') || rest.includes('-h')) {
    terminal.out(`usage: sallyport ${command.usage}\n\n${command.summary}\n`)
    return 0
  }
  try {
    return await command.run(rest, terminal)
  } catch (error) {
    if (!isUsageError(error)) throw error
    terminal.err(`sallyport ${name}: ${error.message.split('. To specify')[0]}\n\nusage: sallyport ${command.usage}\n`)
    return 2
  }
}

function isUsageError(error: unknown): error is Error {
  if (error instanceof UsageError) return true
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_')
}

async function usage(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()))
  const lines = commands.map((command) => `  sallyport ${command.usage}\n      ${command.summary}`)
  return `usage:\n${lines.join('\n')}\n\nFILE is ./sallyport.yaml unless -c names another.\n`
}
