import { latin1 } from '../../base/bytes.ts'
import type { RequestHead } from '../message.ts'

/** Fills `head` with what can be told, for the log, of a request in `buf[from, end)` that could not be read. */
export function describeRequest(head: RequestHead, buf: Buffer, from: number, end: number): void {
  const line = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e\x80-\xff]{1,2048})/.exec(
    latin1(buf, from, Math.min(end, from + 2100)),
  )
  head.method = line?.[1] ?? ''
  head.target = line?.[2] ?? ''
  head.host = ''
  head.minor = 1
  head.bodyLength = 0
  head.fields.reset('')
}
