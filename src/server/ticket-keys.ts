import { randomBytes } from 'node:crypto'

/** Node's TLS takes 48 bytes: 16 of a name, 16 to authenticate, 16 to encrypt with. */
const KEY_BYTES = 48
const ROTATION_MS = 24 * 60 * 60 * 1000

export type TicketKeys = Uint8Array<ArrayBuffer>

export function createTicketKeys(): TicketKeys {
  return new Uint8Array(randomBytes(KEY_BYTES))
}

/**
 * Replaces the keys of TLS session tickets once a day, so that a stolen key opens at most a day's tickets. Node holds
 * one set of keys, not the one before as well: tickets older than the rotation cost their client one full handshake.
 *
 * @returns a function that stops it
 */
export function startKeyRotation(rotate: (keys: TicketKeys) => void): () => void {
  const timer = setInterval(() => rotate(createTicketKeys()), ROTATION_MS).unref()
  return () => clearInterval(timer)
}
