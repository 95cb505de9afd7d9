import { address, file, notAvailable, object, oneOf, optional, orOff, webUrl } from '../schema/kit.ts'

/** What the edge tells about itself. */
export const telemetrySchema = object({
  accessLog: orOff(
    object({
      path: file().prefault('-').describe("`'-'` is stdout; else a file, opened again on SIGUSR1."),
      format: oneOf('json').prefault('json').describe('One JSON object per line.'),
    }),
  )
    .prefault({})
    .describe('One line per exchange. `off`: none.'),
  auditLog: notAvailable('remove it: events would not be recorded'),
  metrics: optional(object({ address: address().describe('Where `/metrics` is served.') })).describe(
    'Prometheus text. Absent: off.',
  ),
  traces: optional(object({ otlp: webUrl().describe('The collector, such as `http://127.0.0.1:4318`.') })).describe(
    'Spans by OTLP over HTTP. Absent: off.',
  ),
})
