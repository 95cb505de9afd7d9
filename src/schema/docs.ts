import type { Reason } from '../base/errors.ts'
import type { JsonSchema } from './json-schema.ts'

const GENERATED = '<!-- Generated from the schema by `sallyport docs`. Do not edit. -->'

/** The reference page of a configuration file: one table per section. */
export function configurationPage(root: JsonSchema): string {
  const sections: string[] = []
  addSection(root, [], sections)
  return `${GENERATED}

# Configuration reference

One YAML file. Unknown keys are errors. Durations are written \`500ms 30s 5m 1h\`, sizes \`64KiB 10MiB\`, rates \`50/s 1000/m 10/h\`.
Secrets are given by reference only: \`\${env:NAME}\` or \`\${file:path}\`, alone or inside a text; \`$\${\` stands for \`\${\` itself.
Relative paths are relative to the file. NAME is a name of your choice, \`[]\` an item of a list.

${sections.join('\n')}`
}

/** The reference page of reason codes. */
export function reasonCodesPage(reasons: Readonly<Record<string, Reason>>): string {
  const rows = Object.entries(reasons).map(
    ([code, { status, fault, title, advice }]) =>
      `| \`${code}\` | ${status === 0 ? 'closed' : status} | ${fault} | ${cell(title)} | ${cell(advice)} |`,
  )
  return `${GENERATED}

# Reason codes

Every answer that the edge makes itself, and every way an exchange can end badly, has one of these codes: in the problem document,
in \`outcome\` of the access log and in the metrics. A status of \`closed\` means that the connection is closed without an answer.

| code | status | fault | title | what to do |
|---|---|---|---|---|
${rows.join('\n')}
`
}

function addSection(schema: JsonSchema, path: string[], out: string[]): void {
  const properties = Object.entries(schema.properties ?? {})
  if (properties.length === 0) return
  const rows = properties.map(([key, child]) => {
    const required = schema.required?.includes(key) ?? false
    const last = required ? 'required' : defaultText(child)
    return `| \`${key}\` | ${typeText(child)} | ${last} | ${cell(child.description ?? '')} |`
  })
  const heading = path.length === 0 ? 'Top level' : `\`${path.join('.').replaceAll('.[]', '[]')}\``
  out.push(`## ${heading}\n\n| key | type | default | description |\n|---|---|---|---|\n${rows.join('\n')}\n`)
  for (const [key, child] of properties) {
    for (const [suffix, inner] of sectionsOf(child)) addSection(inner, [...path, key, ...suffix], out)
  }
}

/** The sections inside of a key: itself, its items, its named entries. */
function sectionsOf(schema: JsonSchema): [string[], JsonSchema][] {
  if (schema.properties !== undefined) return [[[], schema]]
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap(sectionsOf)
  if (schema.items !== undefined) return sectionsOf(schema.items).map(([path, inner]) => [['[]', ...path], inner])
  const { additionalProperties: entries } = schema
  if (typeof entries === 'object') return sectionsOf(entries).map(([path, inner]) => [['NAME', ...path], inner])
  return []
}

function typeText(schema: JsonSchema): string {
  if (schema.not !== undefined) return '-'
  if (schema.title !== undefined) return cell(schema.title)
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${String(word)}\``).join(' or ')
  if (schema.const !== undefined) return `\`${String(schema.const)}\``
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeText))].join(' or ')
  if (schema.items !== undefined) return `list of ${typeText(schema.items)}`
  if (schema.properties !== undefined) return 'section'
  if (typeof schema.additionalProperties === 'object') return `map of ${typeText(schema.additionalProperties)}`
  if (schema.type === 'boolean') return 'true or false'
  return schema.type === 'integer' || schema.type === 'number' ? 'number' : 'text'
}

function defaultText(schema: JsonSchema): string {
  const value = schema.default
  if (value === undefined) return ''
  if (typeof value === 'object' && value !== null) {
    if (Array.isArray(value)) return value.length === 0 ? '' : `\`[${value.join(', ')}]\``
    return ''
  }
  return value === '' ? "`''`" : `\`${String(value)}\``
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
