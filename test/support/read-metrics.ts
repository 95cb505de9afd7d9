import assert from 'node:assert/strict'
import { ask } from './ask.ts'

/** One sample of a metrics page. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A metrics page that was read and found valid. */
export class MetricsPage {
  readonly samples: readonly Sample[]
  readonly types: ReadonlyMap<string, string>

  constructor(samples: readonly Sample[], types: ReadonlyMap<string, string>) {
    this.samples = samples
    this.types = types
  }

  /** The one sample with these labels and no others; null when there is none. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | null {
    const wanted = JSON.stringify(Object.entries(labels).sort())
    const found = this.samples.filter(
      (sample) => sample.name === name && JSON.stringify(Object.entries(sample.labels).sort()) === wanted,
    )
    assert.ok(found.length <= 1, `${name} ${wanted} is there ${found.length} times`)
    return found[0]?.value ?? null
  }

  /** Sum of all samples of a name that have these labels. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.samples
      .filter((one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value))
      .reduce((sum, one) => sum + one.value, 0)
  }
}

/** Fetches a metrics page and holds it against the text format 0.0.4 of Prometheus. */
export async function readMetrics(url: string): Promise<MetricsPage> {
  const { status, headers, body } = await ask(Number(new URL(url).port), new URL(url).pathname)
  assert.equal(status, 200)
  assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/)
  return parseMetrics(body)
}

/** Throws an AssertionError for a page that Prometheus would not take. */
export function parseMetrics(text: string): MetricsPage {
  assert.ok(text.endsWith('\n'), 'the last line must end')
  const types = new Map<string, string>()
  const helps = new Set<string>()
  const samples: Sample[] = []
  const seen = new Set<string>()
  let family = ''
  for (const line of text.split('\n').slice(0, -1)) {
    if (line === '') continue
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line)
    if (comment !== null) {
      const [, kind, name, rest] = comment
      if (kind === 'HELP') {
        assert.ok(!helps.has(name), `second HELP of ${name}`)
        assert.doesNotMatch(rest, /\\(?![\\n])/)
        helps.add(name)
      } else {
        assert.ok(!types.has(name), `second TYPE of ${name}`)
        assert.match(rest, /^(counter|gauge|histogram|summary|untyped)$/, line)
        types.set(name, rest)
      }
      family = name
      continue
    }
    assert.ok(!line.startsWith('#'), line)
    const sample = parseSample(line)
    assert.ok(belongsTo(sample.name, family, types.get(family)), `${sample.name} stands in the family ${family}`)
    const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`
    assert.ok(!seen.has(key), `twice: ${line}`)
    seen.add(key)
    samples.push(sample)
  }
  for (const name of types.keys()) assert.ok(helps.has(name), `${name} has no HELP`)
  const page = new MetricsPage(samples, types)
  checkHistograms(page)
  for (const { name, value } of samples) {
    if (types.get(name) === 'counter') assert.ok(name.endsWith('_total') && value >= 0, name)
  }
  return page
}

function parseSample(line: string): Sample {
  const found = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
  assert.ok(found !== null, `no sample: ${line}`)
  const [, name, list = '', number] = found
  const labels: Record<string, string> = {}
  const pattern = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y
  while (pattern.lastIndex < list.length) {
    const at = pattern.lastIndex
    const label = pattern.exec(list)
    assert.ok(label !== null, `bad labels at ${at}: ${line}`)
    assert.ok(!(label[1] in labels), `label twice: ${line}`)
    labels[label[1]] = label[2].replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
  }
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number)
  assert.ok(!Number.isNaN(value), `no number: ${line}`)
  return { name, labels, value }
}

function belongsTo(name: string, family: string, type: string | undefined): boolean {
  if (type !== 'histogram') return name === family
  return name === `${family}_bucket` || name === `${family}_sum` || name === `${family}_count`
}

/** Buckets grow, end with +Inf, and the last one is the count. */
function checkHistograms(page: MetricsPage): void {
  for (const [family, type] of page.types) {
    if (type !== 'histogram') continue
    const series = new Map<string, Sample[]>()
    for (const sample of page.samples.filter(({ name }) => name === `${family}_bucket`)) {
      const { le, ...labels } = sample.labels
      assert.ok(le !== undefined, `${family}_bucket without le`)
      const key = JSON.stringify(Object.entries(labels).sort())
      series.set(key, [...(series.get(key) ?? []), sample])
    }
    for (const [key, buckets] of series) {
      const labels = Object.fromEntries(JSON.parse(key) as [string, string][])
      for (let i = 1; i < buckets.length; i++) assert.ok(buckets[i].value >= buckets[i - 1].value, `${family} ${key}`)
      assert.equal(buckets.at(-1)?.labels.le, '+Inf', `${family} ${key}`)
      assert.equal(page.value(`${family}_count`, labels), buckets.at(-1)?.value, `${family} ${key}`)
      assert.notEqual(page.value(`${family}_sum`, labels), null, `${family} ${key}`)
    }
  }
}
