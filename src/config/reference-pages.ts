import { REASONS } from '../base/errors.ts'
import { configurationPage, reasonCodesPage } from '../schema/docs.ts'
import { editorSchema } from '../schema/json-schema.ts'
import { metricsPage } from '../telemetry/metrics/docs.ts'
import { rootSchema } from './root.schema.ts'

/** The generated files under `docs/reference`, by name. */
export function referencePages(): Record<string, string> {
  const schema = configSchema()
  return {
    'configuration.md': configurationPage(schema),
    'reason-codes.md': reasonCodesPage(REASONS),
    'metrics.md': metricsPage(),
    'sallyport.schema.json': `${JSON.stringify(schema, null, 2)}\n`,
  }
}

/** The JSON Schema of the configuration file, for editors. */
export function configSchema() {
  return editorSchema(rootSchema, 'Sallyport configuration')
}
