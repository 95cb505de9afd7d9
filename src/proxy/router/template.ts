import { normalisePath } from '../path/normalise.ts'
import { utf8Bytes } from '../path/percent.ts'
import { hasReadings, readingsOf, routingKey } from '../path/readings.ts'

/** One segment of a path template. */
export interface TemplateSegment {
  /** `literal` text, `name` for `{id}`, `rest` for `{rest+}`, `all` for a final `*`. */
  readonly kind: 'literal' | 'name' | 'rest' | 'all'
  /** A literal as a routing key (percent-encoded where a path must be), or the name; '' for `all` and a final slash. */
  readonly text: string
}

/** More segments than any real API has; bounds the depth of a look-up and fits the bits of a number. */
const MAX_SEGMENTS = 30

/**
 * Reads a route's path: `/orders/{id}`, `/files/{rest+}`, `/admin/*`. Literals may be plain or percent-encoded.
 *
 * Throws a RangeError that says what is wrong: also for literals that requests could never reach because endpoints
 * read them in several ways (`;`, encoded slashes, dot segments).
 */
export function parseTemplate(path: string): TemplateSegment[] {
  if (!path.startsWith('/')) throw new RangeError(`path "${path}" does not begin with /`)
  const parts = path.slice(1).split('/')
  if (parts.length > MAX_SEGMENTS) throw new RangeError(`path "${path}" has more than ${MAX_SEGMENTS} segments`)
  const names = new Set<string>()
  return parts.map((part, i) => {
    const segment = parseSegment(part, path, i === parts.length - 1)
    if (segment.kind === 'name' || segment.kind === 'rest') {
      if (names.has(segment.text)) throw new RangeError(`path "${path}" has the name {${segment.text}} twice`)
      names.add(segment.text)
    }
    return segment
  })
}

function parseSegment(part: string, path: string, last: boolean): TemplateSegment {
  const name = /^\{([A-Za-z_][A-Za-z0-9_-]*)(\+?)\}$/.exec(part)
  if (name !== null) {
    if (name[2] === '') return { kind: 'name', text: name[1] }
    if (!last) throw new RangeError(`path "${path}": {${name[1]}+} may only be the last segment`)
    return { kind: 'rest', text: name[1] }
  }
  if (part === '*') {
    if (!last) throw new RangeError(`path "${path}": * may only be the last segment; use {name} for one in between`)
    return { kind: 'all', text: '' }
  }
  if (/[{}*]/.test(part)) {
    throw new RangeError(`path "${path}": "${part}" mixes text with { } or *; a name takes a whole segment, as in {id}`)
  }
  if (part === '' && !last) throw new RangeError(`path "${path}" has an empty segment, which no request path has`)
  if (/[?#]/.test(part))
    throw new RangeError(`path "${path}" holds "?" or "#"; conditions on the query go into "query"`)
  return { kind: 'literal', text: literalKey(part, path) }
}

function literalKey(part: string, path: string): string {
  if (part === '') return ''
  const raw = `/${utf8Bytes(part)}`
  const normal = normalisePath(raw)
  if (normal.refusal !== null || part === '.' || normal.path === '/') {
    throw new RangeError(`path "${path}": "${part}" is not a valid path segment`)
  }
  const key = routingKey(normal.path)
  if (hasReadings(normal.path)) {
    const readings = readingsOf(normal.path)
    if (readings === null || readings.some((reading) => reading !== key)) {
      throw new RangeError(`path "${path}": "${part}" can be read in several ways, so requests to it are refused`)
    }
  }
  return key.slice(1)
}
