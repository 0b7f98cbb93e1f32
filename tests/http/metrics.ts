import { readFileSync } from 'node:fs'
import { parser } from '@prometheus-io/lezer-promql'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { Engine } from '../../src/queue/engine.ts'
import { type Family, parseExposition } from '../support/exposition.ts'
import { expectRefusal } from './support/api.ts'
import type { Service, Setup } from './support/service.ts'

async function scrape({ get }: Pick<Service, 'get'>): Promise<Family[]> {
  const { status, headers, text } = await get('/metrics')
  expect({ status, type: headers.get('content-type') }).toEqual({
    status: 200,
    type: 'text/plain; version=0.0.4; charset=utf-8',
  })
  return parseExposition(text)
}

function told(families: Family[], name: string, labels: Record<string, string> = {}) {
  const samples = families.flatMap((family) => family.samples)
  const wanted = JSON.stringify([name, labels])
  return samples.find((each) => JSON.stringify([each.name, each.labels]) === wanted)?.value
}

export function describeMetrics(setup: Setup): void {
  describe('GET /metrics', () => {
    it('tells what happened, and is the same on every process', async () => {
      const service = await setup()
      const { addRun, register, begin, hold, report, clock } = service
      const runner_id = await register()
      await report('completed', await begin({}, runner_id))
      await hold({}, runner_id)
      await addRun({
        additional_demands: { hostname: 'alpha', executor_type: 'a"\\z', tags: ['b', 'a'] },
      })
      clock.advance(7)
      const families = await scrape(service)
      const seen = (name: string, labels?: Record<string, string>) => told(families, name, labels)
      expect(seen('runqueue_runs', { status: 'pending' })).toBe(1)
      expect(seen('runqueue_runs', { status: 'claimed' })).toBe(1)
      expect(seen('runqueue_runs', { status: 'completed' })).toBe(1)
      expect(seen('runqueue_runs_added_total')).toBe(3)
      expect(seen('runqueue_runs_claimed_total')).toBe(2)
      expect(seen('runqueue_runs_finished_total', { outcome: 'completed' })).toBe(1)
      expect(seen('runqueue_runs_finished_total', { outcome: 'failed' })).toBe(0)
      expect(seen('runqueue_runs_retried_total')).toBe(0)
      expect(seen('runqueue_time_in_queue_seconds_count')).toBe(2)
      expect(seen('runqueue_run_time_seconds_count')).toBe(1)
      expect(seen('runqueue_runners', { status: 'online' })).toBe(1)
      expect(seen('runqueue_process_claim_duration_seconds_count')).toBe(2)
      const demands = 'hostname=alpha executor_type=a"\\z tag=a tag=b'
      expect(seen('runqueue_oldest_pending_age_seconds', { demands })).toBe(7)
      const ofQueue = ({ name }: Family) => !name.startsWith('runqueue_process_')
      const other = await scrape(await service.another())
      expect(other.filter(ofQueue)).toEqual(families.filter(ofQueue))
      clock.advance(600)
      await service.engine.metrics.fold()
      expect(told(await scrape(service), 'runqueue_runners', { status: 'stale' })).toBe(1)
    })

    it('names twenty groups of demands, and tells the longest wait of all others', async () => {
      const service = await setup()
      for (let i = 0; i < 23; i++) {
        await service.addRun({ additional_demands: { hostname: `host-${i}` } })
        service.clock.advance(1)
      }
      const families = await scrape(service)
      const name = 'runqueue_oldest_pending_age_seconds'
      const { samples } = families.find((family) => family.name === name) ?? expect.fail(name)
      expect(samples).toHaveLength(21)
      expect(samples[0]).toMatchObject({ labels: { demands: 'hostname=host-0' }, value: 23 })
      expect(samples.at(-1)).toMatchObject({ labels: { demands: '(others)' }, value: 3 })
    })

    it('catches up with what was not counted yet, or says that it did not', async () => {
      let folds = 0
      const wrap = (engine: Engine): Engine => ({
        ...engine,
        metrics: {
          ...engine.metrics,
          fold: async () => ({ events: ++folds }),
          read: async (at) => {
            const reading = await engine.metrics.read(at)
            return folds === 3 ? reading : { ...reading, totals: null }
          },
        },
      })
      const service = await setup({ wrap })
      expect(told(await scrape(service), 'runqueue_runs_added_total')).toBe(0)
      folds = 4
      const late = await service.get('/metrics')
      expectRefusal(late, 503, 'metrics_behind')
      expect(late.headers.get('retry-after')).toBe('5')
    })

    it('counts the polls that wait', async () => {
      const service = await setup({ config: { pollTimeoutSeconds: 10 } })
      const runner_id = await service.register()
      const { answer } = await service.waiting(() => service.poll(runner_id))
      expect(told(await scrape(service), 'runqueue_process_waiting_polls')).toBe(1)
      service.leave()
      await answer
    })
  })

  describe('what ships for Grafana and Prometheus', () => {
    const read = (name: string) =>
      readFileSync(new URL(`../../ops/${name}`, import.meta.url), 'utf8')
    const namesIn = (text: string) => new Set(text.match(/\brunqueue_\w+/g))

    async function known(setup: Setup): Promise<Set<string>> {
      const service = await setup()
      await service.addRun()
      const families = await scrape(service)
      return new Set(families.flatMap(({ samples }) => samples.map(({ name }) => name)))
    }

    it('asks for metrics only that there are', async () => {
      const names = await known(setup)
      for (const file of ['grafana-dashboard.json', 'prometheus-alerts.yml']) {
        const asked = namesIn(read(file))
        expect(asked.size, file).toBeGreaterThan(5)
        expect(
          [...asked].filter((name) => !names.has(name)),
          file,
        ).toEqual([])
      }
    })

    it('is what these programs take', () => {
      const dashboard = JSON.parse(read('grafana-dashboard.json'))
      for (const panel of dashboard.panels) {
        expect(panel).toMatchObject({ id: expect.any(Number), title: expect.any(String) })
        for (const { expr } of panel.targets) expect(isQuery(expr), expr).toBe(true)
      }
      expect(isQuery('sum(runqueue_runs')).toBe(false)
      const { groups } = parse(read('prometheus-alerts.yml'))
      for (const { name, rules } of groups) {
        expect(name).toBe('runqueue')
        for (const rule of rules) {
          expect(rule).toEqual({
            alert: expect.stringMatching(/^Runqueue[A-Z]/),
            expr: expect.any(String),
            for: expect.stringMatching(/^\d+m$/),
            labels: { severity: expect.stringMatching(/^(warning|critical)$/) },
            annotations: expect.objectContaining({ summary: expect.any(String) }),
          })
          expect(isQuery(rule.expr), rule.expr).toBe(true)
        }
      }
    })
  })
}

/** Whether it is PromQL; Grafana's variables are filled in first. */
function isQuery(text: string): boolean {
  const filled = text.replaceAll('$__rate_interval', '5m').replaceAll('$job', 'runqueue')
  let isClean = true
  parser.parse(filled).iterate({
    enter: ({ type }) => {
      isClean &&= !type.isError
    },
  })
  return isClean
}
