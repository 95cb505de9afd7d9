import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../ip-text.ts'
import { createLocalHeader, ProxyHeader, type ProxyRead } from './header.ts'

/** The longest line of version 1, CRLF included. */
export const V1_MAX_BYTES = 107

/**
 * Reads a version 1 line from `bytes[start..end)`, which starts with `PROXY `. Never looks past `end` nor past 107 bytes.
 *
 * Strict: one space between fields, no leading zeros, CRLF only. Source: proxy-protocol.txt 2.1.
 */
export function readProxyV1(bytes: Uint8Array, start: number, end: number): ProxyRead {
  const limit = Math.min(end, start + V1_MAX_BYTES)
  let lineEnd = start
  while (lineEnd < limit) {
    const code = bytes[lineEnd]!
    if (code < 0x20 || code > 0x7e) break
    lineEnd++
  }
  if (lineEnd === limit) return limit - start === V1_MAX_BYTES ? 'proxy-protocol-invalid' : null
  // A lone CR or LF, a NUL or an 8-bit byte inside the line: two receivers could see two different ends of it.
  if (bytes[lineEnd] !== 0x0d) return 'proxy-protocol-invalid'
  if (lineEnd + 1 === limit) return limit - start === V1_MAX_BYTES ? 'proxy-protocol-invalid' : null
  if (bytes[lineEnd + 1] !== 0x0a) return 'proxy-protocol-invalid'
  return readLine(ascii(bytes, start, lineEnd), lineEnd + 2 - start)
}

function readLine(line: string, length: number): ProxyRead {
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN ')) return createLocalHeader(length)
  const fields = line.split(' ', 7)
  if (fields.length !== 6) return 'proxy-protocol-invalid'
  const source = readAddress(fields[1]!, fields[2]!)
  const destination = readAddress(fields[1]!, fields[3]!)
  const sourcePort = readPort(fields[4]!)
  const destinationPort = readPort(fields[5]!)
  if (source === '' || destination === '' || sourcePort < 0 || destinationPort < 0) return 'proxy-protocol-invalid'
  return new ProxyHeader(length, false, source, sourcePort, destination, destinationPort, null)
}

function readAddress(family: string, text: string): string {
  const scratch = new Uint8Array(16)
  if (family === 'TCP4') return parseIpv4(text, scratch, 0) ? formatIpv4(scratch, 0) : ''
  if (family === 'TCP6') return parseIpv6(text, scratch) ? formatIpv6(scratch, 0) : ''
  return ''
}

function readPort(text: string): number {
  if (text.length === 0 || text.length > 5) return -1
  let port = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return -1
    port = port * 10 + digit
  }
  if (port > 65535 || (text.length > 1 && text.charCodeAt(0) === 0x30)) return -1
  return port
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!)
  return text
}
