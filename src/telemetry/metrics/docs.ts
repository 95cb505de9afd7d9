import { BUCKETS_MS, METRIC_NAMES, METRICS } from './table.ts'

const HEAD = `# Metrics

Made from \`src/telemetry/metrics/table.ts\` by \`sallyport docs\`; do not edit.

\`telemetry.metrics.address\` opens \`/metrics\` in the Prometheus text format. Counters never go back while the process lives, reloads
and replaced threads included. The value of a label comes from the configuration or from a table of the edge, never from what a peer sends.
A route or an endpoint shows up with its first request.
`

/** The page `docs/reference/metrics.md`, from the table. */
export function metricsPage(): string {
  const rows = METRIC_NAMES.map((name) => {
    const { type, labels, help } = METRICS[name]
    return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(' ')} | ${help} |`
  })
  const buckets = BUCKETS_MS.map((ms) => ms / 1000).join(', ')
  return `${HEAD}
| Name | Type | Labels | What it says |
|---|---|---|---|
${rows.join('\n')}

Buckets of the histograms, in seconds: ${buckets}.
`
}
