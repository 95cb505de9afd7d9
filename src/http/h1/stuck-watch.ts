import type { Socket } from 'node:net'

/** Tells whether a peer takes what is written to it. */
export class StuckWatch {
  #sent = -1

  /** Forgets what was seen: the next question only looks. */
  reset(): void {
    this.#sent = -1
  }

  /** Whether bytes wait for the peer and it took none of them since this was asked last. */
  isStuck(socket: Socket): boolean {
    const waiting = socket.writableLength
    const sent = socket.bytesWritten - waiting
    const stuck = waiting > 0 && sent === this.#sent
    this.#sent = sent
    return stuck
  }
}
