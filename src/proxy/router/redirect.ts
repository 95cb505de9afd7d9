import type { Exchange } from '../../core/exchange.ts'
import { LocalReply } from '../../core/reply.ts'
import type { Redirect } from '../../core/route.ts'
import { ENCODED, utf8Bytes } from '../path/percent.ts'
import { compilePattern, type Pattern, type Reference, writePattern } from './pattern.ts'
import { parseTemplate } from './template.ts'

/** Answers for a route that redirects. */
export interface Redirector {
  reply(exchange: Exchange): LocalReply
}

/**
 * Compiles a route's redirect. `to` is an absolute http or https URL or a path; `{name}` is a name of the route's path,
 * else `{path}` (normal form, with its slash), `{query}` (without `?`; an empty one takes the `?` before it away) or
 * `{host}`; a final `/*` is what the route's `/*` matched. The query is not passed on unless named.
 *
 * Throws a RangeError for other names and targets. Nothing that a client sends can end the Location line: what is not
 * a visible ASCII character is percent-encoded.
 */
export function compileRedirect(redirect: Redirect, routePath: string): Redirector {
  const { to, status } = redirect
  if (!STATUSES.includes(status)) throw new RangeError(`redirect.status ${status} is not one of ${STATUSES.join(', ')}`)
  const pattern = compilePattern(to, parseTemplate(routePath), ['path', 'query', 'host'])
  checkOwnTarget(to, pattern)
  const texts = pattern.texts.map((text, i) => {
    const bytes = toVisible(utf8Bytes(text))
    // `https://host/{path}` means one slash, not two.
    const slashed = bringsSlash(pattern.refs[i]) && bytes.endsWith('/') && !bytes.endsWith('://')
    return slashed ? bytes.slice(0, -1) : bytes
  })
  return new PatternRedirector({ ...pattern, texts }, status)
}

const STATUSES: readonly number[] = [301, 302, 303, 307, 308]

class PatternRedirector implements Redirector {
  readonly #pattern: Pattern
  readonly #status: number
  readonly #endsWithQuery: boolean

  constructor(pattern: Pattern, status: number) {
    this.#pattern = pattern
    this.#status = status
    const { texts, refs } = pattern
    this.#endsWithQuery = refs.at(-1) === 'query' && texts.at(-1) === '' && texts.at(-2)?.endsWith('?') === true
  }

  reply(exchange: Exchange): LocalReply {
    let location = toVisible(writePattern(this.#pattern, exchange)) || '/'
    if (this.#endsWithQuery && exchange.query === '') location = location.slice(0, -1)
    return new LocalReply('redirect', `Location: ${location}\r\n`, this.#status, '')
  }
}

/** Refuses targets in which the client's text could choose where the redirect leads: open redirects. */
function checkOwnTarget(to: string, { texts, refs }: Pattern): void {
  const scheme = /^https?:\/\//i.exec(texts[0])?.[0].length ?? 0
  if (scheme === 0 && !/^\/(?!\/)/.test(texts[0]) && !(texts[0] === '' && bringsSlash(refs[0]))) {
    throw new RangeError(`redirect.to "${to}" begins with neither http://, https:// nor /`)
  }
  let inAuthority = scheme > 0
  let inQuery = false
  for (const [i, ref] of refs.entries()) {
    const text = i === 0 ? texts[0].slice(scheme) : texts[i]
    if (/[/?#]/.test(text) || bringsSlash(ref)) inAuthority = false
    if (inAuthority && ref !== 'host') throw new RangeError(`redirect.to "${to}" lets the client choose the host`)
    if (text.includes('?')) inQuery = true
    if (ref === 'query' && !inQuery) throw new RangeError(`redirect.to "${to}" has {query} without a ? before it`)
  }
}

function bringsSlash(ref: Reference | undefined): boolean {
  return ref === 'path' || ref === 'tail'
}

function toVisible(text: string): string {
  let out = ''
  let kept = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c > 0x20 && c < 0x7f) continue
    out += text.slice(kept, i) + ENCODED[c & 0xff]
    kept = i + 1
  }
  return kept === 0 ? text : out + text.slice(kept)
}
