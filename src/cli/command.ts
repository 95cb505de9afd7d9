/** What a command may touch besides the disk: handed in, so that tests can look at it. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Asks a question and returns the line answered, without its line break; null when there is nobody to answer. */
  ask(question: string): Promise<string | null>
}

/** One command of the command line. */
export interface Command {
  /** Shown after `sallyport NAME`. */
  readonly usage: string
  /** One line for the list of commands. */
  readonly summary: string
  /** Returns the exit status: 0 done, 1 failed, 2 bad usage or configuration. Throws a UsageError for wrong arguments. */
  run(args: string[], terminal: Terminal): Promise<number>
}

/** Wrong arguments: the usage is shown on stderr and the exit status is 2. */
export class UsageError extends Error {}

/** Where the configuration is when `-c` does not say. */
export const DEFAULT_FILE = './sallyport.yaml'

/** The `-c FILE` of most commands, for `parseArgs`. */
export const CONFIG_OPTION = { config: { type: 'string', short: 'c', default: DEFAULT_FILE } } as const
