/** A configuration that cannot be used. `lines` has every problem, as `file:line:column path: problem (hint)`. */
export class ConfigError extends Error {
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.name = 'ConfigError'
    this.lines = lines
  }
}
