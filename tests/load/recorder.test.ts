import { describe, expect, it } from 'vitest'
import { Recorder } from '../../src/load/recorder.ts'

function recorderFrom(start: number): Recorder {
  const recorder = new Recorder()
  recorder.begin(start)
  return recorder
}

describe('latencies', () => {
  it('are read as percentiles in milliseconds, to three digits', () => {
    const recorder = recorderFrom(0)
    for (let ms = 1; ms <= 1000; ms += 1) recorder.record('add', 5000 - ms, 5000)
    const latency = recorder.latency('add')
    expect(latency?.count).toBe(1000)
    const expected = { p50: 500, p90: 900, p99: 990, p99_9: 999, max: 1000 }
    for (const [name, ms] of Object.entries(expected)) {
      const read = latency?.[name as keyof typeof expected] ?? 0
      expect(Math.abs(read - ms) / ms, name).toBeLessThan(0.002)
    }
  })

  it('tell microseconds apart', () => {
    const recorder = recorderFrom(0)
    recorder.record('claim', 1, 1.25)
    expect(recorder.latency('claim')?.p50).toBe(0.25)
  })

  it('are none where nothing was recorded', () => {
    const recorder = recorderFrom(0)
    expect(recorder.latency('wait')).toBeNull()
    expect(recorder.distribution('wait')).toEqual([])
  })

  it('beyond all bounds are counted at the bound', () => {
    const recorder = recorderFrom(0)
    recorder.record('add', 0, 7_200_000)
    recorder.record('add', 7_200_001, 7_200_000)
    expect(recorder.latency('add')).toMatchObject({ count: 2, p50: 0 })
    expect(recorder.latency('add')?.max).toBeGreaterThan(3_590_000)
  })

  it('rise with the percentile up to the slowest', () => {
    const recorder = recorderFrom(0)
    for (let ms = 1; ms <= 50; ms += 1) recorder.record('add', 0, ms)
    const distribution = recorder.distribution('add').map(({ ms }) => ms)
    expect(distribution).toEqual(distribution.toSorted((a, b) => a - b))
    expect(distribution.at(-1)).toBeCloseTo(50, 1)
  })
})

describe('the series', () => {
  it('has a row for each second, also where nothing happened', () => {
    const recorder = recorderFrom(10_000)
    recorder.record('add', 10_000, 10_100)
    recorder.record('claim', 10_000, 10_999)
    recorder.record('completed', 12_900, 13_000)
    recorder.finish(13_250)
    const rows = recorder.series.map(({ second, seconds, added, claimed, completed }) => ({
      second,
      seconds,
      added,
      claimed,
      completed,
    }))
    const nothing = { seconds: 1, added: 0, claimed: 0, completed: 0 }
    expect(rows).toEqual([
      { ...nothing, second: 0, added: 1, claimed: 1 },
      { ...nothing, second: 1 },
      { ...nothing, second: 2 },
      { ...nothing, second: 3, seconds: 0.25, completed: 1 },
    ])
  })

  it('has the latencies of each second alone', () => {
    const recorder = recorderFrom(0)
    recorder.record('add', 0, 100)
    recorder.record('add', 1490, 1500)
    recorder.finish(2000)
    const read = recorder.series.map(({ latency }) => Math.round(latency.add?.p50 ?? 0))
    expect(read).toEqual([100, 10, 0])
    expect(recorder.series[1]?.latency.wait).toBeNull()
  })
})
