/**
 * Reads a Content-Length value: decimal digits only (RFC 9110 8.6).
 *
 * Returns the number of bytes, or -1 for anything else: signs, spaces, lists (also of equal numbers) and what does not
 * fit 15 digits.
 */
export function parseContentLength(value: string): number {
  const length = value.length
  if (length === 0 || length > 15) return -1
  let n = 0
  for (let i = 0; i < length; i++) {
    const digit = value.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return -1
    n = n * 10 + digit
  }
  return n
}
