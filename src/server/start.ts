import { readFileSync } from 'node:fs'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/root.schema.ts'
import { MetricBook } from '../telemetry/metrics/book.ts'
import { ProcessLog } from '../telemetry/process-log.ts'
import { Edge, type EdgeParts, type MainServices } from './edge.ts'
import type { Log, Notice } from './messages.ts'
import { MetricsService } from './metrics-service.ts'
import { PortCheck } from './port-check.ts'
import { SharedMemoryKeeper } from './shared-memory.ts'
import { UpstreamWatch } from './upstream-watch.ts'

export interface RunOptions {
  readonly configFile: string
  /** Data threads, in place of the file's `threads`; null: as the file says. */
  readonly threads: number | 'auto' | null
}

/**
 * Runs the edge of a configuration file until it is told to stop, and takes the process's signals over: SIGHUP reloads,
 * SIGUSR1 reopens the logs, SIGTERM and SIGINT drain, a second one of them ends at once. Prints `listening NAME URL` for
 * each listener and then `ready` to stdout. Resolves to the exit code: 0 drained, 1 failed, 2 the configuration is not
 * acceptable. The caller exits with it.
 */
export function runEdge({ configFile, threads }: RunOptions): Promise<number> {
  const book = new MetricBook()
  const processLog = new ProcessLog({ now: Date.now })
  const log: Log = (level, event, message) => processLog[level](event, message)
  const parts: EdgeParts = {
    configFile,
    load: async () => load(configFile, log),
    settingsOf: (config) => ({
      threads: threads ?? config.threads,
      listeners: Object.keys(config.listeners).length,
      store: config.state.store,
      drainTimeoutMs: config.drain.timeout,
    }),
    workerFile: new URL(`./data-thread${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url),
    createMemory: (count) => new SharedMemoryKeeper(count, book),
    createServices: (tell) => createServices(book, tell, log),
    log,
    closeLog: () => processLog.close(),
    print: (line) => process.stdout.write(`${line}\n`),
    complain: (line) => process.stderr.write(`${line}\n`),
  }
  return new Edge(parts).run()
}

function createServices(book: MetricBook, tell: (notice: Notice) => void, log: Log): MainServices {
  const upstreams = new UpstreamWatch({ tell: (change) => tell({ kind: 'endpoints', change }), log })
  const metrics = new MetricsService({ book, upstreams, version: readVersion(), log })
  return {
    list: [new PortCheck(), metrics, upstreams],
    endpoints: () => upstreams.endpoints(),
    onEjected: (upstream, endpoint, forMs) => upstreams.ejected(upstream, endpoint, forMs),
  }
}

/** The configuration, or the lines of its problems. Warnings go to the process log. */
function load(file: string, log: Log): Config | readonly string[] {
  try {
    const { config, warnings } = loadConfig(file)
    for (const warning of warnings) log('warn', 'config-warning', warning)
    return config
  } catch (error) {
    if (error instanceof ConfigError) return error.lines
    throw error
  }
}

function readVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}
