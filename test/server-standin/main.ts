/** An edge with the stand-in engine, as a process: `node main.ts FILE`. */
import { readFileSync } from 'node:fs'
import type { Config } from '../../src/config/root.schema.ts'
import { Edge } from '../../src/server/edge.ts'
import type { MemoryKeeper } from '../../src/server/shared-memory.ts'
import type { StandInConfig } from './engine.ts'

const configFile = process.argv[2]
const memory: MemoryKeeper = {
  prepare: () => ({
    upstreams: {},
    connections: {},
    ticketKeys: new SharedArrayBuffer(48),
    accessLogTurn: new SharedArrayBuffer(4),
  }),
  commit: () => {},
  abort: () => {},
  metricsFor: () => null,
  freeShares: (slot) => process.stderr.write(`freed ${slot}\n`),
  setTicketKeys: () => {},
}
const edge = new Edge({
  configFile,
  async load() {
    try {
      return JSON.parse(readFileSync(configFile, 'utf8')) as Config
    } catch (error) {
      return [`${configFile}: ${(error as Error).message}`]
    }
  },
  settingsOf(config) {
    const standIn = config as unknown as StandInConfig
    return {
      threads: standIn.threads ?? 2,
      listeners: Object.keys(standIn.listeners).length,
      store: standIn.store ?? 'sqlite:sallyport.db',
      drainTimeoutMs: standIn.drainTimeoutMs ?? 5_000,
    }
  },
  workerFile: new URL('./worker.ts', import.meta.url),
  createMemory: () => memory,
  createServices: () => ({ list: [], endpoints: () => ({}), onEjected: () => {} }),
  log: (level, _event, message) => process.stderr.write(`${level} ${message}\n`),
  closeLog: async () => {},
  print: (line) => process.stdout.write(`${line}\n`),
  maxDeaths: 5,
  complain: (line) => process.stderr.write(`${line}\n`),
})
process.exit(await edge.run())
