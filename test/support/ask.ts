import { Agent, type IncomingHttpHeaders, request } from 'node:http'

/** An answer read to its end. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface AskOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Absent: a connection of its own. */
  readonly agent?: Agent
  readonly localAddress?: string
  readonly timeoutMs?: number
}

/** One request to a local port. Rejects when the connection breaks, or without an answer in 15 s. */
export function ask(port: number, path: string, options: AskOptions = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, agent, localAddress, timeoutMs = 15_000 } = options
  // Node frames the body of a GET or a DELETE only when told how long it is.
  const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        headers: { ...length, ...headers },
        agent: agent ?? false,
        localAddress,
      },
      (response) => {
        let text = ''
        response.setEncoding('latin1').on('data', (chunk: string) => {
          text += chunk
        })
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      },
    )
    call.setTimeout(timeoutMs, () => call.destroy(new Error(`no answer in time: ${method} ${path}`)))
    call.on('error', reject)
    call.end(body)
  })
}

/** The same request `count` times, `width` at a time, over kept connections. Answers in any order. */
export async function askMany(
  port: number,
  path: (n: number) => string,
  count: number,
  width = 8,
  options: (n: number) => AskOptions = () => ({}),
): Promise<Answer[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: width })
  const answers: Answer[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) answers.push(await ask(port, path(n), { agent, ...options(n) }))
  }
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker))
  agent.destroy()
  return answers
}

/** How often each value comes. */
export function tally(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1
  return counts
}
