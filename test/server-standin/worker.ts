import { runDataThread } from '../../src/server/thread-loop.ts'
import { createStandInEngine } from './engine.ts'

runDataThread(createStandInEngine)
