import { spawn } from 'node:child_process'
import { type Tool, toolPath } from '../setup/tools.ts'

/** How a program ended. */
export interface CommandResult {
  /** Exit status, or the signal that ended it. */
  readonly status: number | string
  readonly out: string
  readonly err: string
}

const LIMIT_MS = 20_000

/** Runs a program to its end, at most 20 s. `input` is written to its stdin, which is then closed. */
export function runCommand(tool: Tool, args: readonly string[], input = ''): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(toolPath(tool), args, { stdio: 'pipe' })
    const out: Buffer[] = []
    const err: Buffer[] = []
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    // A program that ends before it has read its input.
    child.stdin.on('error', () => {})
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({
        status: code ?? signal ?? '',
        out: Buffer.concat(out).toString('latin1'),
        err: Buffer.concat(err).toString('latin1'),
      })
    })
    child.stdin.end(input)
  })
}

/** `openssl s_client` against a local port: one request, then to the end of the connection. */
export function opensslClient(port: number, args: readonly string[], request = REQUEST): Promise<CommandResult> {
  return runCommand('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-ign_eof', ...args], request)
}

/** A request whose answer ends the connection. */
export const REQUEST = 'GET /hello HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n'

/** curl, silent, without the user's settings; prints the body and then the status on a line of its own. */
export function curl(...args: readonly string[]): Promise<CommandResult> {
  return runCommand('curl', ['-q', '-sS', '--max-time', '15', '-w', '\n%{http_code}', ...args])
}
