import { parentPort, workerData } from 'node:worker_threads'
import { UpstreamCells } from '../../shared/cells.ts'
import { sharedNowMs } from '../../shared/clock.ts'
import { ConcurrencyGate } from '../concurrency-gate.ts'

/**
 * A real thread for the tests of the concurrency limit. `board` is shared by all: see BOARD for its words.
 * Modes: `hammer` runs `requests` through the gate with `parallel` at a time; `hold` takes what it gets and keeps it;
 * `spin` takes and leaves up to `parallel` slots, `requests` times in one breath, so that the threads meet at every instruction.
 */
export interface HammerData {
  readonly cells: SharedArrayBuffer
  readonly board: SharedArrayBuffer
  readonly thread: number
  readonly mode: 'hammer' | 'hold' | 'spin'
  readonly requests: number
  readonly parallel: number
}

/** START: 1 lets all begin. RUNNING, MOST: requests that run now and at most. DONE + thread: finished requests of that thread. */
export const BOARD = { START: 0, RUNNING: 1, MOST: 2, TIMEOUTS: 3, FULL: 4, DONE: 8 } as const

if (parentPort !== null) run(workerData as HammerData)

function run({ cells, board, thread, mode, requests, parallel }: HammerData): void {
  const words = new Int32Array(board)
  const gate = new ConcurrencyGate(new UpstreamCells(cells), thread, 60_000, sharedNowMs)
  if (mode === 'hold') {
    for (let i = 0; i < requests && gate.tryEnter(); i++) Atomics.add(words, BOARD.DONE + thread, 1)
    parentPort!.postMessage('held')
    setInterval(() => {}, 1000)
    return
  }
  if (mode === 'spin') {
    spin(gate, words, thread, requests, parallel)
    return
  }
  let begun = 0
  let alive = parallel
  const keepAlive = setInterval(() => {}, 1000)
  const next = (): void => {
    if (begun === requests) {
      if (--alive === 0) clearInterval(keepAlive)
      return
    }
    begun++
    if (gate.tryEnter()) {
      admitted()
      return
    }
    const ticket = gate.enqueue({ onAdmitted: admitted, onQueueTimeout: () => count(BOARD.TIMEOUTS) })
    if (ticket === 'full') count(BOARD.FULL)
  }
  const count = (word: number): void => {
    Atomics.add(words, word, 1)
    setImmediate(next)
  }
  const admitted = (): void => {
    countRunning(words)
    setImmediate(ended)
  }
  const ended = (): void => {
    // Not running before the slot is free, else the next one would be counted beside it.
    Atomics.sub(words, BOARD.RUNNING, 1)
    gate.leave()
    Atomics.add(words, BOARD.DONE + thread, 1)
    next()
  }
  parentPort!.postMessage('ready')
  Atomics.wait(words, BOARD.START, 0)
  for (let i = 0; i < parallel; i++) next()
}

function spin(gate: ConcurrencyGate, words: Int32Array, thread: number, rounds: number, parallel: number): void {
  parentPort!.postMessage('ready')
  Atomics.wait(words, BOARD.START, 0)
  for (let round = 0; round < rounds; round++) {
    let held = 0
    while (held < parallel && gate.tryEnter()) {
      countRunning(words)
      held++
    }
    Atomics.add(words, BOARD.DONE + thread, held)
    for (; held > 0; held--) {
      Atomics.sub(words, BOARD.RUNNING, 1)
      gate.leave()
    }
  }
}

function countRunning(words: Int32Array): void {
  const running = Atomics.add(words, BOARD.RUNNING, 1) + 1
  for (;;) {
    const most = Atomics.load(words, BOARD.MOST)
    if (running <= most || Atomics.compareExchange(words, BOARD.MOST, most, running) === most) return
  }
}
