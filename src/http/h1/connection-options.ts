import { knownFieldByName } from '../field-names.ts'
import type { FieldTable } from '../field-table.ts'

/** Bits of a Connection field (RFC 9110 7.6.1). */
export const OPTION_CLOSE = 1
export const OPTION_KEEP_ALIVE = 2
export const OPTION_UPGRADE = 4

/**
 * Reads one Connection field value; fields that it names are marked DROPPED.
 *
 * Framing and Host cannot be named away: a request that tries keeps them. Returns OPTION bits.
 */
export function readConnection(value: string, table: FieldTable): number {
  if (value === 'keep-alive') return OPTION_KEEP_ALIVE
  if (value === 'close') return OPTION_CLOSE
  let options = 0
  for (const part of value.toLowerCase().split(',')) {
    const name = part.trim()
    if (name === 'close') options |= OPTION_CLOSE
    else if (name === 'keep-alive') options |= OPTION_KEEP_ALIVE
    else if (name === 'upgrade') options |= OPTION_UPGRADE
    else if (name !== '' && knownFieldByName(name) === null) table.remove(name)
  }
  return options
}
