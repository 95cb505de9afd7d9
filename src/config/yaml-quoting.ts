// Stand-ins of the same length for { } [ ], from a private use area that no configuration has a reason to hold.
const HIDDEN = ['\uE7B0', '\uE7B1', '\uE7B2', '\uE7B3'] as const
const BRACES = ['{', '}', '[', ']'] as const

/**
 * Hides the braces that look like text: `/orders/{id}`, `${env:NAME}`, `[::]:8443`.
 * YAML reads them as maps and lists inside `{ }`, and quotes are needed. Returns null when there are none.
 */
export function hideBraces(text: string): string | null {
  if (HIDDEN.some((stand) => text.includes(stand))) return null
  const hidden = text
    .replace(/([$/\w.-])\{([A-Za-z_][^{}\s'",]*)\}/g, `$1${HIDDEN[0]}$2${HIDDEN[1]}`)
    .replace(/\[([0-9a-fA-F]{0,4}:[0-9a-fA-F:.]*:?[0-9a-fA-F]*)\](?=:\d)/g, `${HIDDEN[2]}$1${HIDDEN[3]}`)
  return hidden === text ? null : hidden
}

/** Undoes `hideBraces`. */
export function showBraces(text: string): string {
  let shown = text
  for (const [index, stand] of HIDDEN.entries()) shown = shown.replaceAll(stand, BRACES[index]!)
  return shown
}

/** The first piece of a text that wanted quotes, to be named in the problem. */
export function unquotedBrace(text: string): string {
  return /\$?\{[^}]*\}|\[[^\]]*\]/.exec(text)?.[0] ?? text
}
