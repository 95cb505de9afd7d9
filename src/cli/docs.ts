import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { referencePages } from '../config/reference-pages.ts'
import type { Command } from './command.ts'

/** `sallyport docs`: writes the generated pages of `docs/reference`; for those who change Sallyport. */
export const docsCommand: Command = {
  usage: 'docs [--check] [--output DIRECTORY]',
  summary: 'write the reference pages from the schema; --check only compares',
  async run(args, terminal) {
    const { values } = parseArgs({
      args,
      options: { check: { type: 'boolean', default: false }, output: { type: 'string', default: 'docs/reference' } },
    })
    let stale = 0
    for (const [name, text] of Object.entries(referencePages())) {
      const path = join(values.output, name)
      if (values.check) {
        if (readIfThere(path) === text) continue
        terminal.err(`${path} is stale: run sallyport docs\n`)
        stale++
      } else {
        mkdirSync(values.output, { recursive: true })
        writeFileSync(path, text)
        terminal.out(`${path}\n`)
      }
    }
    return stale === 0 ? 0 : 1
  },
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}
