import { existsSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig } from '../config/load.ts'
import { type Command, DEFAULT_FILE, type Terminal } from './command.ts'
import { type Answers, writeStarter } from './starter-file.ts'

const QUESTIONS: readonly { key: keyof Answers; question: string; fallback: string }[] = [
  { key: 'listen', question: 'What address shall the edge listen on?', fallback: '127.0.0.1:8080' },
  { key: 'to', question: 'What endpoint shall it forward to?', fallback: 'http://127.0.0.1:3000' },
  { key: 'match', question: 'For what host and path (api.example.com/orders/*, or /* for all)?', fallback: '/*' },
]

/** Wrong answers to one question before `init` gives up. */
const MAX_TRIES = 3

/** `sallyport init`: writes a first configuration from three answers. */
export const initCommand: Command = {
  usage: 'init [--listen ADDRESS] [--to URL] [--host HOST] [--path PATH] [-o FILE] [--force]',
  summary: 'write a commented configuration, from three questions or from flags',
  async run(args, terminal) {
    const { values } = parseArgs({
      args,
      options: {
        listen: { type: 'string' },
        to: { type: 'string' },
        host: { type: 'string' },
        path: { type: 'string' },
        output: { type: 'string', short: 'o', default: DEFAULT_FILE },
        force: { type: 'boolean', default: false },
      },
    })
    if (!values.force && existsSync(values.output)) return refuseOverwrite(values.output, terminal)
    const { listen, to, host, path } = values
    const answers =
      listen === undefined && to === undefined && host === undefined && path === undefined
        ? await askAll(terminal)
        : answersFrom(listen, to, `${host ?? ''}${path ?? '/*'}`)
    if (answers === null) return 2
    const text = writeStarter(answers)
    const problems = problemsOf(text, values.output, terminal)
    if (problems.length > 0) {
      terminal.err(`sallyport init: nothing was written:\n${problems.map((line) => `${line}\n`).join('')}`)
      return 2
    }
    try {
      writeFileSync(values.output, text, { flag: values.force ? 'w' : 'wx' })
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      if (code === 'EEXIST') return refuseOverwrite(values.output, terminal)
      terminal.err(`sallyport init: ${values.output} cannot be written: ${code || String(error)}\n`)
      return 1
    }
    terminal.out(
      `wrote ${values.output}\nnext: sallyport check -c ${values.output} && sallyport run -c ${values.output}\n`,
    )
    return 0
  },
}

function refuseOverwrite(path: string, terminal: Terminal): number {
  terminal.err(`sallyport init: ${path} exists (choose another with -o FILE, or replace it with --force)\n`)
  return 2
}

function answersFrom(listen: string | undefined, to: string | undefined, match: string): Answers {
  return { listen: listen ?? QUESTIONS[0]!.fallback, to: to ?? QUESTIONS[1]!.fallback, match }
}

/** Asks the three questions; an empty answer, or none, takes what is shown in brackets. */
async function askAll(terminal: Terminal): Promise<Answers | null> {
  const answers: Answers = answersFrom(undefined, undefined, QUESTIONS[2]!.fallback)
  for (const { key, question, fallback } of QUESTIONS) {
    let tries = 0
    for (;;) {
      const answer = (await terminal.ask(`${question} [${fallback}] `))?.trim() ?? ''
      answers[key] = answer === '' ? fallback : answer
      const problems = problemsOf(writeStarter(answers), 'answer', terminal)
      if (problems.length === 0) break
      terminal.err(problems.map((line) => `${line.replace(/^answer:\d+:\d+ /, '')}\n`).join(''))
      if (++tries === MAX_TRIES) return null
    }
  }
  return answers
}

function problemsOf(text: string, path: string, terminal: Terminal): readonly string[] {
  try {
    loadConfig(path, { env: terminal.env, readFile: () => Buffer.from(text) })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.lines
    throw error
  }
}
