/** Byte classes of RFC 9110 5.6.2 and 5.5, as tables indexed by byte. */

function table(test: (c: number) => boolean): Uint8Array {
  const bytes = new Uint8Array(256)
  for (let c = 0; c < 256; c++) bytes[c] = test(c) ? 1 : 0
  return bytes
}

/** `tchar`: bytes of a method or field name (RFC 9110 5.6.2). */
export const TOKEN = table((c) => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(c)) && c < 0x80)

/** Bytes of a field value: visible, space, tab and 0x80 to 0xFF; no other control character (RFC 9110 5.5). */
export const VALUE = table((c) => c === 0x09 || (c >= 0x20 && c !== 0x7f))

/** Bytes of a request target as accepted: 0x21 to 0xFF but DEL. What a path may hold is judged later. */
export const TARGET = table((c) => c >= 0x21 && c !== 0x7f)

/** Bytes of a host name in Host: letters, digits, `.`, `-`, `_`. Narrower than RFC 3986 reg-name, as names in use are. */
export const HOST = table((c) => /[0-9A-Za-z._-]/.test(String.fromCharCode(c)) && c < 0x80)

/** Value of a hexadecimal digit, 255 for any other byte. */
export const HEX = new Uint8Array(256).fill(255)
for (let i = 0; i < 16; i++) {
  const digit = i.toString(16)
  HEX[digit.charCodeAt(0)] = i
  HEX[digit.toUpperCase().charCodeAt(0)] = i
}
