import { type Output, validate } from '../schema/kit.ts'
import { listenerSchema } from './listener.schema.ts'
import type { rootSchema } from './root.schema.ts'
import { routeSchema } from './route.schema.ts'
import { telemetrySchema } from './telemetry.schema.ts'
import { upstreamSchema } from './upstream.schema.ts'

/** The parts of a configuration that are well-formed, so that checks across parts can run although others are not. */
export interface Draft {
  listeners: Map<string, Output<typeof listenerSchema>>
  /** Every name that the file has; null for an upstream that is not well-formed. */
  upstreams: Map<string, Output<typeof upstreamSchema> | null>
  /** In file order; null for a route that is not well-formed. */
  routes: (Output<typeof routeSchema> | null)[]
  telemetry: Output<typeof telemetrySchema> | null
  /** False when `routes` or `upstreams` itself is malformed, so that "unused" cannot be told. */
  whole: boolean
}

/** The draft of a configuration that passed the schema. */
export function wholeDraft(config: Output<typeof rootSchema>): Draft {
  return {
    listeners: new Map(Object.entries(config.listeners)),
    upstreams: new Map(Object.entries(config.upstreams)),
    routes: config.routes,
    telemetry: config.telemetry,
    whole: true,
  }
}

/** What can be saved of one that did not. */
export function partialDraft(value: unknown): Draft {
  const root = section(value)
  const draft: Draft = { listeners: new Map(), upstreams: new Map(), routes: [], telemetry: null, whole: false }
  for (const [name, item] of Object.entries(section(root.listeners))) {
    const result = validate(listenerSchema, item)
    if ('value' in result) draft.listeners.set(name, result.value)
  }
  for (const [name, item] of Object.entries(section(root.upstreams))) {
    const result = validate(upstreamSchema, item)
    draft.upstreams.set(name, 'value' in result ? result.value : null)
  }
  if (Array.isArray(root.routes)) {
    draft.routes = root.routes.map((item) => {
      const result = validate(routeSchema, item)
      return 'value' in result ? result.value : null
    })
  }
  const telemetry = validate(telemetrySchema, root.telemetry ?? {})
  if ('value' in telemetry) draft.telemetry = telemetry.value
  return draft
}

function section(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}
