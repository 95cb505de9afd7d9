import { parentPort, workerData } from 'node:worker_threads'
import { startBeating } from './heartbeat.ts'
import type { Command, CommandMessage, Done, FromThread, Notice, ThreadStart, ToThread } from './messages.ts'
import type { EngineHost, ThreadEngine } from './thread-engine.ts'

/** For the logs of a thread that ends because of a defect, or of a process that ends at once. */
const LAST_WORDS_MS = 50
/** For the logs of a thread that has drained, when their reader is slow. */
const CLOSE_LOGS_MS = 1_000

/**
 * Runs an engine in this data thread: takes commands one after the other and answers each.
 *
 * An error that nobody caught ends the thread: what it left half done cannot be trusted, and the main thread starts
 * another one. Only call it as the whole program of a worker.
 */
export function runDataThread(createEngine: (host: EngineHost) => ThreadEngine): void {
  if (parentPort === null) throw new Error('a data thread runs only inside a worker')
  const port = parentPort
  const send = (message: FromThread): void => port.postMessage(message)
  const start = workerData as ThreadStart
  let engine: ThreadEngine | null = null
  let dying = false

  const die = (error: unknown): void => {
    send({ kind: 'fatal', error: describe(error) })
    if (dying) return
    dying = true
    // Ends this thread only: inside a worker, process.exit does not end the process.
    const end = (): void => process.exit(1)
    // The engine's state is in doubt, so its logs get a moment and no more.
    setTimeout(end, LAST_WORDS_MS)
    if (engine === null) end()
    else engine.closeLogs(LAST_WORDS_MS).then(end, end)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)

  engine = createEngine({
    ...start,
    log: (level, event, message) => send({ kind: 'log', level, event, message }),
    ejected: (upstream, endpoint, forMs) => send({ kind: 'ejected', upstream, endpoint, forMs }),
  })
  startBeating(start.heartbeat, start.slot)

  const queue: CommandMessage[] = []
  let busy = false
  const work = async (running: ThreadEngine): Promise<void> => {
    busy = true
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) send(await answer(running, next))
    busy = false
  }
  const running = engine
  port.on('message', (message: ToThread) => {
    if ('id' in message) {
      queue.push(message)
      if (!busy) work(running).catch(die)
    } else {
      take(running, message)
    }
  })
  send({ kind: 'started' })
}

async function answer(engine: ThreadEngine, command: CommandMessage): Promise<Done> {
  const done = { kind: 'done', id: command.id, problems: [], listeners: [], cut: 0, stats: null } as const
  try {
    return { ...done, ...(await obey(engine, command)) }
  } catch (error) {
    return { ...done, problems: [describe(error)] }
  }
}

async function obey(engine: ThreadEngine, command: Command): Promise<Partial<Done>> {
  switch (command.kind) {
    case 'prepare':
      return { problems: await engine.prepare(command) }
    case 'listen':
      return engine.listen(command.ports)
    case 'commit':
      await engine.commit(command.endpoints)
      return {}
    case 'abort':
      await engine.abort()
      return {}
    case 'drain': {
      const cut = await engine.drain(command.timeoutMs)
      await engine.closeLogs(CLOSE_LOGS_MS)
      return { cut }
    }
    case 'stats':
      return { stats: engine.stats() }
  }
}

function take(engine: ThreadEngine, notice: Notice): void {
  switch (notice.kind) {
    case 'endpoints':
      engine.setEndpoints(notice.change)
      break
    case 'ticket-keys':
      engine.setTicketKeys(notice.keys)
      break
    case 'reopen-logs':
      engine.reopenLogs()
      break
    case 'close-logs':
      engine.cut()
      void engine.closeLogs(LAST_WORDS_MS)
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
