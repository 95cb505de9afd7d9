/** Text of the milliseconds of a second, `000` to `999`. */
const MS: readonly string[] = Array.from({ length: 1000 }, (_, ms) => `.${String(ms).padStart(3, '0')}Z`)

/** Thousandths as they end a number, without trailing zeros: `''`, `.001`, … `.5`, … */
const THOUSANDTHS: readonly string[] = Array.from({ length: 1000 }, (_, n) =>
  n === 0 ? '' : `.${String(n).padStart(3, '0').replace(/0+$/, '')}`,
)

/** Last moment that ISO 8601 writes with four digits of the year. */
const LAST_MS = 253402300799999

/** Writes times as ISO 8601 in UTC with milliseconds; the text of the current second is kept, so that most calls only join it. */
export class LogTime {
  #second = -1
  #text = ''

  /** @param ms milliseconds since 1970; fractions are cut, what is no time counts as 1970. */
  format(ms: number): string {
    const whole = ms >= 0 && ms <= LAST_MS ? Math.floor(ms) : 0
    const second = Math.floor(whole / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#text = new Date(second * 1000).toISOString().slice(0, 19)
    }
    return this.#text + (MS[whole - second * 1000] as string)
  }
}

/** Writes a duration in milliseconds as a JSON number with at most 3 decimals. Negative ones and NaN are 0. */
export function formatMs(ms: number): string {
  if (!(ms > 0)) return '0'
  if (ms > 4e12) return '4000000000000'
  const micros = Math.round(ms * 1000)
  const whole = Math.floor(micros / 1000)
  return whole + (THOUSANDTHS[micros - whole * 1000] as string)
}
