declare global {
  interface Buffer {
    /** Bytes as a one-byte string; what `toString('latin1', start, end)` calls, without its argument checks. */
    latin1Slice(start?: number, end?: number): string
  }
}

/** Bytes as a one-byte string: every byte is one character of 0x00 to 0xFF. */
export function latin1(buf: Buffer, start: number, end: number): string {
  return buf.latin1Slice(start, end)
}

/** The same one-byte text as one piece: joined strings are cheaper to join on, and to write, once they are flat. For what is kept. */
export function flat(text: string): string {
  return Buffer.from(text, 'latin1').latin1Slice()
}
