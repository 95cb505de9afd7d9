/**
 * Reads an IP address into bytes. Returns 4 or 16, the count of bytes written to `out` from index 0, or 0 when the text is no address.
 *
 * IPv4: four decimal numbers without leading zeros. IPv6: RFC 4291 2.2, the dotted tail included; no zone, no brackets.
 */
export function parseIpText(text: string, out: Uint8Array): 0 | 4 | 16 {
  if (text.length > 45) return 0
  if (text.indexOf(':') < 0) return parseIpv4(text, out, 0) ? 4 : 0
  return parseIpv6(text, out) ? 16 : 0
}

/** Reads four decimal numbers without leading zeros into `out[at..at+3]`. */
export function parseIpv4(text: string, out: Uint8Array, at: number): boolean {
  const length = text.length
  let parts = 0
  let value = -1
  for (let i = 0; i <= length; i++) {
    const code = i === length ? 0x2e : text.charCodeAt(i)
    if (code === 0x2e) {
      if (value < 0 || parts === 4) return false
      out[at + parts++] = value
      value = -1
    } else {
      if (code < 0x30 || code > 0x39 || value === 0) return false
      value = value < 0 ? code - 0x30 : value * 10 + code - 0x30
      if (value > 255) return false
    }
  }
  return parts === 4
}

/** Reads an IPv6 address into `out[0..15]`. False when the text is none; `out` is then undefined. */
export function parseIpv6(text: string, out: Uint8Array): boolean {
  const length = text.length
  let groups = 0
  let gap = -1
  let i = 0
  if (text.startsWith('::')) {
    gap = 0
    i = 2
  }
  while (i < length) {
    const start = i
    let value = 0
    for (; i < length; i++) {
      const digit = hexDigit(text.charCodeAt(i))
      if (digit < 0) break
      if (i - start === 4) return false
      value = (value << 4) | digit
    }
    if (text.charCodeAt(i) === 0x2e) {
      if (groups > 6 || !parseIpv4(text.slice(start), out, groups * 2)) return false
      groups += 2
      break
    }
    if (i === start || groups === 8) return false
    out[groups * 2] = value >> 8
    out[groups * 2 + 1] = value & 255
    groups++
    if (i === length) break
    if (text.charCodeAt(i) !== 0x3a) return false
    i++
    if (text.charCodeAt(i) === 0x3a) {
      if (gap >= 0) return false
      gap = groups
      i++
    } else if (i === length) return false
  }
  if (gap < 0) return groups === 8
  if (groups > 7) return false
  const tail = (groups - gap) * 2
  out.copyWithin(16 - tail, gap * 2, gap * 2 + tail)
  out.fill(0, gap * 2, 16 - tail)
  return true
}

/** Prints `bytes[at..at+3]` as dotted IPv4. */
export function formatIpv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`
}

/** Prints `bytes[at..at+15]` in the form of RFC 5952; an IPv4-mapped address (RFC 4291 2.5.5.2) as plain IPv4. */
export function formatIpv6(bytes: Uint8Array, at: number): string {
  if (isMapped(bytes, at)) return formatIpv4(bytes, at + 12)
  let best = -1
  let bestLength = 1
  for (let group = 0; group < 8; ) {
    let end = group
    while (end < 8 && bytes[at + end * 2] === 0 && bytes[at + end * 2 + 1] === 0) end++
    if (end - group > bestLength) {
      best = group
      bestLength = end - group
    }
    group = end + 1
  }
  let text = ''
  for (let group = 0; group < 8; group++) {
    if (group === best) {
      text += '::'
      group += bestLength - 1
      continue
    }
    if (text !== '' && !text.endsWith(':')) text += ':'
    text += ((bytes[at + group * 2]! << 8) | bytes[at + group * 2 + 1]!).toString(16)
  }
  return text
}

function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
