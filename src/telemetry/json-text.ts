/** Everything but the printable ASCII that JSON takes as it is: controls, `"`, `\`, DEL and all above. */
const NEEDS_ESCAPE = /[^ !#-[\]-~]/

const ESCAPES: readonly string[] = Array.from({ length: 256 }, (_, code) => escapeOf(code))

/**
 * Writes text as the inside of a JSON string, in ASCII only: what is not printable ASCII becomes `\uXXXX`, so that
 * the bytes of a hostile target (0x80 to 0xFF, one code unit each) can neither break a line nor make it invalid UTF-8.
 * Costs one test and no allocation when nothing needs it, which is nearly always.
 */
export function escapeJson(text: string): string {
  return NEEDS_ESCAPE.test(text) ? escapeSlowly(text) : text
}

/** Whether text may stand inside a JSON string as it is: printable ASCII without `"` and `\`. */
export function isPlainJson(text: string): boolean {
  return !NEEDS_ESCAPE.test(text)
}

/** Text as a JSON string with its quotes, or `null`. */
export function quoteJson(text: string | null): string {
  return text === null ? 'null' : `"${escapeJson(text)}"`
}

function escapeSlowly(text: string): string {
  let out = ''
  let done = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x1f && code < 0x7f && code !== 0x22 && code !== 0x5c) continue
    out += text.slice(done, i)
    out += code < 256 ? ESCAPES[code] : unicodeEscape(code)
    done = i + 1
  }
  return out + text.slice(done)
}

function escapeOf(code: number): string {
  if (code === 0x22) return '\\"'
  if (code === 0x5c) return '\\\\'
  if (code === 0x0a) return '\\n'
  if (code === 0x0d) return '\\r'
  if (code === 0x09) return '\\t'
  return unicodeEscape(code)
}

function unicodeEscape(code: number): string {
  return `\\u${code.toString(16).padStart(4, '0')}`
}
