import type { Config } from '../config/root.schema.ts'
import type { SharedMemory } from './shared-memory.ts'

/**
 * Something that runs once per process, in the main thread, and follows the configuration: the metrics address, the
 * prober, the resolver. Takes part in a reload in the same phases as a data thread.
 */
export interface MainService {
  readonly name: string
  /** Checks and opens what the configuration asks for, beside what runs. One line per problem. */
  prepare(config: Config, shared: SharedMemory): Promise<readonly string[]>
  /** What was prepared runs from here on; what it replaces ends. Must not reject. */
  commit(): Promise<void>
  /** Closes what was prepared. */
  abort(): Promise<void>
  close(): Promise<void>
}
