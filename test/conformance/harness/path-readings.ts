/**
 * Whether any endpoint could read this target as `/<first>` or something below it: decoded up to three times, with
 * back slashes as slashes, `;parameters` cut off, the text cut at a NUL, double slashes merged, dot segments removed,
 * each of these or not, in any order.
 */
export function couldReach(target: string, first: string): boolean {
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#\\]*/i, '').replace(/[?#].*$/s, '')
  const seen = new Set([path])
  for (const reading of seen) {
    if (reading.replace(/^\/+/, '').split('/')[0] === first) return true
    for (const step of STEPS) seen.add(step(reading))
  }
  return false
}

const STEPS: readonly ((path: string) => string)[] = [
  (path) => path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  (path) => path.replaceAll('\\', '/'),
  (path) => path.replace(/;[^/]*/g, ''),
  (path) => path.replace(/\0.*$/s, ''),
  (path) => path.replaceAll('\0', ''),
  (path) => path.replace(/\/{2,}/g, '/'),
  removeDots,
]

/** RFC 3986 5.2.4. */
function removeDots(path: string): string {
  const out: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') {
      if (out.length > 1) out.pop()
    } else if (segment !== '.') out.push(segment)
  }
  const ends = /(^|\/)\.\.?$/.test(path)
  return out.join('/') + (ends && out.at(-1) !== '' ? '/' : '')
}
