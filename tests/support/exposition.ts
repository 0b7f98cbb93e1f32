/** Reads the text format of Prometheus, and is strict about it. */
import { expect } from 'vitest'

interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

export interface Family {
  name: string
  type: string
  help: string
  samples: Sample[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\d+(?:\\.\\d+)?(?:e[+-]\\d+)?|\\+Inf|NaN)$`)
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y

export function parseExposition(text: string): Family[] {
  expect(text.endsWith('\n')).toBe(true)
  const families: Family[] = []
  const seen = new Set<string>()
  for (const line of text.slice(0, -1).split('\n')) {
    const [, name, help] = new RegExp(`^# HELP (${NAME}) (.+)$`).exec(line) ?? []
    if (name !== undefined) {
      expect(families.map((family) => family.name)).not.toContain(name)
      families.push({ name, type: '', help: help ?? '', samples: [] })
      continue
    }
    const family = families.at(-1) ?? expect.fail(`a sample without HELP: ${line}`)
    const [, type] =
      new RegExp(`^# TYPE ${family.name} (counter|gauge|histogram)$`).exec(line) ?? []
    if (type !== undefined) {
      expect(family.samples).toEqual([])
      family.type = type
      continue
    }
    expect(family.type, line).not.toBe('')
    const sample = parseSample(line)
    const key = JSON.stringify([sample.name, sample.labels])
    expect(seen, line).not.toContain(key)
    seen.add(key)
    const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
    expect(suffixes.map((suffix) => family.name + suffix)).toContain(sample.name)
    family.samples.push(sample)
  }
  for (const family of families) if (family.type === 'histogram') checkHistogram(family)
  return families
}

function parseSample(line: string): Sample {
  const [, name = '', pairs = '', value] = SAMPLE.exec(line) ?? expect.fail(`no sample: ${line}`)
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < pairs.length) {
    const [, label = '', text = ''] = LABEL.exec(pairs) ?? expect.fail(`no labels: ${line}`)
    labels[label] = text.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one))
  }
  return { name, labels, value: Number(value) }
}

/** Buckets grow with their bounds, and the last one holds all. */
function checkHistogram({ name, samples }: Family): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`)
  const bounds = buckets.map(({ labels }) => Number(labels['le']?.replace('+Inf', 'Infinity')))
  expect(bounds).toEqual([...bounds].sort((a, b) => a - b))
  expect(bounds.at(-1)).toBe(Number.POSITIVE_INFINITY)
  const counts = buckets.map(({ value }) => value)
  expect(counts).toEqual([...counts].sort((a, b) => a - b))
  const count = samples.find((sample) => sample.name === `${name}_count`)
  expect(count?.value).toBe(counts.at(-1))
}
