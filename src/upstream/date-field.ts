let second = 0
let line = ''

/** The Date field line for this second (RFC 9110 6.6.1), made once a second. */
export function dateField(): string {
  const now = Math.floor(Date.now() / 1000)
  if (now !== second) {
    second = now
    line = `Date: ${new Date(now * 1000).toUTCString()}\r\n`
  }
  return line
}
