import { type Schema, toJsonSchema } from './kit.ts'

/** One node of a JSON Schema, as far as the docs read it. */
export interface JsonSchema {
  title?: string
  description?: string
  type?: string
  default?: unknown
  enum?: unknown[]
  const?: unknown
  not?: unknown
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema
  additionalProperties?: JsonSchema | boolean
  anyOf?: JsonSchema[]
  minimum?: number
  maximum?: number
}

/** The JSON Schema (2020-12) of a file that a user writes, for editors. */
export function editorSchema(root: Schema, title: string): JsonSchema {
  return { ...(toJsonSchema(root) as JsonSchema), title }
}
