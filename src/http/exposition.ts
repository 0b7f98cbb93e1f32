/** The text format of Prometheus, version 0.0.4. */
import type { Histogram } from '../queue/histogram.ts'

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

type Labels = Readonly<Record<string, string>>

interface Named {
  name: string
  help: string
}
interface Values extends Named {
  type: 'counter' | 'gauge'
  values: readonly { labels?: Labels; value: number }[]
}
interface Durations extends Named {
  type: 'histogram'
  histogram: Histogram
}
export type Metric = Values | Durations

export const exposition = (metrics: readonly Metric[]): string =>
  metrics.flatMap((metric) => [...head(metric), ...samples(metric)]).join('')

const head = ({ name, help, type }: Metric): string[] => [
  `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n`,
  `# TYPE ${name} ${type}\n`,
]

function samples(metric: Metric): string[] {
  const { name } = metric
  if (metric.type !== 'histogram') {
    return metric.values.map(({ labels = {}, value }) => sample(name, labels, value))
  }
  const { bounds, counts, sum } = metric.histogram
  let below = 0
  const buckets = [...bounds.map(String), '+Inf'].map((le, place) => {
    below += counts[place] ?? 0
    return sample(`${name}_bucket`, { le }, below)
  })
  return [...buckets, sample(`${name}_sum`, {}, sum), sample(`${name}_count`, {}, below)]
}

function sample(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`
}

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
