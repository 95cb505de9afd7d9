/**
 * The program of a data thread. What it imports is loaded once per thread, so neither the schema library nor the YAML
 * reader may be reached from here: the main thread hands over checked, plain configurations.
 */
import { EdgeEngine } from './edge-engine.ts'
import { runDataThread } from './thread-loop.ts'

runDataThread((host) => new EdgeEngine(host))
