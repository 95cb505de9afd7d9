import { z } from 'zod'
import { parseCidr } from '../base/cidr.ts'
import {
  type Address,
  type EndpointUrl,
  parseAddress,
  parseDuration,
  parseEndpointUrl,
  parsePercent,
  parseRate,
  parseSize,
  type Rate,
} from './units.ts'

/** Any schema made by this kit. Refine it with `.describe(text)` (shown in the docs) and `.prefault(text)` (its default, as a user writes it). */
export type Schema = z.ZodType
/** What a schema yields: durations in ms, sizes in bytes, absent optional keys as null. */
export type Output<T extends Schema> = z.output<T>

/** What is known of a schema beyond its shape; read by `walk.ts`, the docs and the JSON Schema. */
interface Marks {
  secret?: 'value' | 'url'
  unavailable?: string
  /** The shape behind `unavailable`, so that secrets in it are still found. */
  shape?: Schema
}
const marks = new WeakMap<object, Marks>()

/** The marks of a schema, empty for most. Copies that `.describe()` and `.refine()` made have those of their original. */
export function marksOf(schema: Schema): Marks {
  let at: { _zod: { parent?: unknown } } | undefined = schema
  while (at !== undefined) {
    const found = marks.get(at)
    if (found !== undefined) return found
    at = at._zod.parent as typeof at
  }
  return {}
}

/** A section with known keys; others are errors. */
export const object = <S extends Record<string, Schema>>(shape: S) =>
  z.strictObject(shape, { error: 'expected a section of keys' })

/** A map from names that the user chooses to one schema. */
export const named = <T extends Schema>(value: T) => z.record(nameKey(), value, { error: 'expected a map of names' })

/** A map whose keys follow a schema of their own. */
export const mapOf = <K extends z.core.$ZodRecordKey & Schema, T extends Schema>(key: K, value: T) =>
  z.record(key, value, { error: 'expected a map' })

/** A list of one schema. */
export const list = <T extends Schema>(item: T) => z.array(item, { error: 'expected a list, [a, b]' })

/** A list with at least one item. */
export const someOf = <T extends Schema>(item: T) => list(item).min(1, { error: 'needs at least one item' })

/** A key that may be absent; yields null then. */
export const optional = <T extends Schema>(schema: T) =>
  schema.optional().transform((value) => (value ?? null) as z.output<T> | null)

/** `off` in place of a section; yields null. */
export const orOff = <T extends Schema>(schema: T) => z.union([off(), schema])

/** One of several shapes; the error is that of the shape which fits best. */
export const either = <A extends Schema, B extends Schema>(a: A, b: B) => z.union([a, b])

/** One of a few words. */
export const oneOf = <const W extends readonly [string, ...string[]]>(...words: W) =>
  z.enum(words, { error: `expected ${words.join(' or ')}` })

/** One of a few words, of which some are not built yet: those are refused by name. */
export const oneOfAvailable = <const W extends readonly [string, ...string[]]>(words: W, later: readonly string[]) =>
  z.enum(words, {
    error: (issue) =>
      typeof issue.input === 'string' && later.includes(issue.input)
        ? `not available in this version|use ${words.join(' or ')}`
        : `expected ${words.join(' or ')}`,
  })

export const flag = () => z.boolean({ error: 'expected true or false' })

/** A switch whose `true` is not built yet. */
export const flagNotYet = (what: string) =>
  flag().refine((value) => !value, { error: `not available in this version|${what}; remove it` })

/** A text of 1 to 8,192 characters without control characters but tab. */
export const text = (expected = 'expected a text') =>
  z
    .string({ error: expected })
    .min(1, { error: 'is empty' })
    .max(8192, { error: 'is longer than 8192 characters' })
    .refine((value) => !/[\0-\x08\x0a-\x1f\x7f]/.test(value), { error: 'has a control character or line break' })

/** Any text, line breaks and the empty one included, at most 1 MiB. */
export const freeText = () =>
  z.string({ error: 'expected a text' }).max(1_048_576, { error: 'is longer than 1 MiB' }).meta({ title: 'text' })

/** A text that must match a pattern. */
export const pattern = (title: string, regex: RegExp, expected: string) =>
  z.string({ error: expected }).regex(regex, { error: expected }).meta({ title })

/** A whole number within a range. */
export const integer = (min: number, max: number) => {
  const error = `expected a whole number from ${min} to ${max}`
  return z.int({ error }).min(min, { error }).max(max, { error }).meta({ title: 'number' })
}

/** A whole number from `min`, or `none` for no limit (Infinity). */
export const count = (min = 0) => {
  const error = `expected a whole number from ${min}, or none`
  return z
    .union([z.int({ error }).min(min, { error }).max(1_000_000_000, { error }), z.literal('none', { error })], {
      error,
    })
    .transform((value) => (value === 'none' ? Number.POSITIVE_INFINITY : value))
    .meta({ title: 'number or none' })
}

/** A duration of at least 1 ms; yields ms. */
export const duration = () =>
  fromText('duration', '^\\d+(\\.\\d+)?(ms|s|m|h|d)$', 'expected a duration of 1ms to 24d, such as 30s', (value) => {
    const ms = parseDuration(value)
    return ms === undefined || ms < 1 ? undefined : ms
  })

/** A duration, or `none` to lift it (Infinity). */
export const timeout = () =>
  fromText(
    'duration or none',
    '^(none|\\d+(\\.\\d+)?(ms|s|m|h|d))$',
    'expected a duration of 1ms to 24d, such as 30s, or none',
    (value) => {
      if (value === 'none') return Number.POSITIVE_INFINITY
      const ms = parseDuration(value)
      return ms === undefined || ms < 1 ? undefined : ms
    },
  )

/** A size of at least `minBytes`, or `none` to lift it (Infinity); yields bytes. */
export const size = (minBytes = 1) =>
  fromText(
    'size or none',
    '^(none|\\d+(\\.\\d+)?(B|KiB|MiB|GiB))$',
    `expected a size${minBytes > 1 ? ` of at least ${minBytes}B` : ''}, such as 64KiB or 10MiB, or none`,
    (value) => {
      if (value === 'none') return Number.POSITIVE_INFINITY
      const bytes = parseSize(value)
      return bytes === undefined || bytes < minBytes ? undefined : bytes
    },
  )

/** A rate; yields { count, perMs }. */
export const rate = () =>
  fromText<Rate>('rate', '^\\d+/(s|m|h|d)$', 'expected a rate, such as 50/s or 1000/m', parseRate)

/** A percentage; yields a fraction from 0 to 1. */
export const percent = () =>
  fromText('percent', '^\\d+(\\.\\d+)?%$', 'expected a percentage from 0% to 100%', parsePercent)

/** A list of CIDR blocks or single addresses; yields them as written, checked. */
export const cidrs = () =>
  list(
    fromText('CIDR', undefined, 'expected an IP address or CIDR block, such as 10.0.0.0/8', (value) => {
      try {
        parseCidr(value)
        return value
      } catch {
        return undefined
      }
    }),
  )

/** An address to listen on; yields { host, port } or { path }. */
export const address = () =>
  fromText<Address>(
    'address',
    undefined,
    "expected an address such as 0.0.0.0:8443, '[::]:8443' or unix:/run/edge.sock",
    parseAddress,
  )

/** The URL of an endpoint; yields { scheme, host, port }. */
export const endpointUrl = () =>
  fromText<EndpointUrl>(
    'endpoint URL',
    '^(http|https|tcp)://',
    'expected http://host[:port], https://host[:port] or tcp://host:port, without a path',
    parseEndpointUrl,
  )

/** An absolute http or https URL; yields its text. */
export const webUrl = () =>
  fromText('URL', '^https?://', 'expected an http:// or https:// URL', (value) =>
    /^https?:\/\//.test(value) && URL.canParse(value) ? value : undefined,
  )

/** The path of a file, relative to the configuration file. */
export const file = () => text('expected the path of a file').meta({ title: 'file' })

/** A secret, given by reference only: `${env:NAME}` or `${file:path}`. */
export const secret = () => {
  const schema = text('expected a secret by reference').meta({ title: 'secret' })
  marks.set(schema, { secret: 'value' })
  return schema
}

/** A connection URL whose password, if any, is given by reference. */
export const secretUrl = (regex: RegExp, expected: string) => {
  const schema = z.string({ error: expected }).regex(regex, { error: expected }).meta({ title: 'URL' })
  marks.set(schema, { secret: 'url' })
  return schema
}

/** A key whose name is fixed but which this version does not have: its presence is an error. `why` follows in parentheses. */
export const notAvailable = (why: string, shape?: Schema) => {
  const schema = z
    .never({ error: `not available in this version|${why}` })
    .optional()
    .describe('Not available in this version.')
  marks.set(schema, { unavailable: why, shape })
  return schema
}

/** Reads a text by a parser of `units.ts` that yields undefined for what it does not understand. */
export function fromText<T>(
  title: string,
  jsonPattern: string | undefined,
  expected: string,
  parse: (value: string) => T | undefined,
) {
  return z
    .string({ error: expected })
    .transform((value, context): T => {
      const parsed = parse(value)
      if (parsed !== undefined) return parsed
      context.issues.push({ code: 'custom', message: expected, input: value })
      return z.NEVER
    })
    .meta(jsonPattern === undefined ? { title } : { title, pattern: `${jsonPattern}|\\$\\{` })
}

/** A further rule on a section: `rule` returns the problem and where it is (relative path), or null. */
export const rule = <T extends Schema>(
  schema: T,
  check: (value: z.output<T>) => { path: string[]; problem: string } | null,
) =>
  schema.superRefine((value, context) => {
    const found = check(value as z.output<T>)
    if (found !== null) context.addIssue({ code: 'custom', path: found.path, message: found.problem })
  })

/** The names of the kit's containers, for `walk.ts`: the children of a schema, whatever wraps it. */
export type Children =
  | { kind: 'object'; shape: Readonly<Record<string, Schema>> }
  | { kind: 'map' | 'list'; item: Schema }
  | { kind: 'union'; options: readonly Schema[] }
  | { kind: 'leaf' }

/** Opens a schema: its marks are those of every wrapper it has. */
export function open(schema: Schema): { children: Children; secret: Marks['secret']; unavailable: boolean } {
  let inner: Schema = schema
  for (;;) {
    const { secret: kind, unavailable, shape } = marksOf(inner)
    if (kind !== undefined) return { children: { kind: 'leaf' }, secret: kind, unavailable: false }
    if (unavailable !== undefined) {
      const children: Children = shape === undefined ? { kind: 'leaf' } : open(shape).children
      return { children, secret: undefined, unavailable: true }
    }
    if (inner instanceof z.ZodOptional || inner instanceof z.ZodPrefault) inner = inner.unwrap() as Schema
    else if (inner instanceof z.ZodPipe) inner = inner.in as Schema
    else break
  }
  return { children: childrenOf(inner), secret: undefined, unavailable: false }
}

/** Checks a value. Problems have texts of our own that never hold the value; `hint` follows a `|` in them. */
export function validate<T extends Schema>(schema: T, value: unknown): { value: z.output<T> } | { issues: RawIssue[] } {
  const result = schema.safeParse(value)
  return result.success ? { value: result.data } : { issues: result.error.issues as unknown as RawIssue[] }
}

/** A problem as the schema library tells it. */
export interface RawIssue {
  code: string
  path: (string | number)[]
  message: string
  keys?: string[]
  issues?: RawIssue[]
  errors?: RawIssue[][]
}

/** The JSON Schema (2020-12) of what a user writes. */
export function toJsonSchema(schema: Schema): Record<string, unknown> {
  return z.toJSONSchema(schema, {
    io: 'input',
    reused: 'inline',
    unrepresentable: 'any',
  }) as Record<string, unknown>
}

function off() {
  return z.literal('off', { error: 'expected off' }).transform(() => null)
}

function nameKey() {
  return z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/, {
    error: 'is not a name|1 to 63 letters, digits, -, _ and ., starting with a letter or digit',
  })
}

function childrenOf(schema: Schema): Children {
  if (schema instanceof z.ZodObject) return { kind: 'object', shape: schema.shape as Record<string, Schema> }
  if (schema instanceof z.ZodRecord) return { kind: 'map', item: schema.valueType as Schema }
  if (schema instanceof z.ZodArray) return { kind: 'list', item: schema.element as Schema }
  if (schema instanceof z.ZodUnion) return { kind: 'union', options: schema.options as Schema[] }
  return { kind: 'leaf' }
}
