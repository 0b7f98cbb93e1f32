/** GET /metrics, for Prometheus. */
import { Hono } from 'hono'
import type { Demands } from '../queue/demands.ts'
import type { Histogram } from '../queue/histogram.ts'
import type { MetricsReading, Totals } from '../queue/metrics.ts'
import type { DemandGroup } from '../queue/overview.ts'
import type { Timestamp } from '../queue/run.ts'
import { addSeconds, secondsBetween } from '../queue/time.ts'
import type { Deps, Env } from './deps.ts'
import { RequestError } from './errors.ts'
import { EXPOSITION_TYPE, exposition, type Metric } from './exposition.ts'
import type { Polls } from './poll.ts'

/** What a scrape folds at most before it answers: some 100 ms. */
const FOLDS = 20
/** Groups of equal demands that are told by name. */
const GROUPS_TOLD = 20

export function metricsRoutes({ engine, config, now }: Deps, polls: Polls): Hono<Env> {
  const app = new Hono<Env>()

  app.get('/', async (c) => {
    const at = now()
    const staleBefore = addSeconds(at, -config.staleThresholdSeconds)
    for (let folds = 0; folds <= FOLDS; folds += 1) {
      const reading = await engine.metrics.read(staleBefore)
      if (reading.totals) {
        const waiting = await engine.overview.demandGroups(GROUPS_TOLD + 1)
        const text = exposition([
          ...ofQueue({ ...reading, totals: reading.totals }, waiting.groups, at),
          ...ofProcess(await engine.metrics.commits(), polls),
        ])
        return c.body(text, 200, { 'content-type': EXPOSITION_TYPE })
      }
      await engine.metrics.fold()
    }
    throw new RequestError(
      503,
      'metrics_behind',
      'More happened than was counted yet: try again in a moment',
      undefined,
      { 'Retry-After': '5' },
    )
  })

  return app
}

function ofQueue(
  reading: MetricsReading & { totals: Totals },
  waiting: readonly DemandGroup[],
  now: Timestamp,
): Metric[] {
  const { totals, runners } = reading
  const each = (label: string, counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).map(([word, value]) => ({ labels: { [label]: word }, value }))
  return [
    {
      ...{ name: 'runqueue_runs', type: 'gauge' },
      help: 'Runs that are stored, by status.',
      values: each('status', totals.runs),
    },
    {
      ...{ name: 'runqueue_oldest_pending_age_seconds', type: 'gauge' },
      help: `How long the run has waited that is next among those with the same demands: the ${GROUPS_TOLD} that waited longest, and the longest of all others.`,
      values: oldest(waiting, now),
    },
    {
      ...{ name: 'runqueue_runs_added_total', type: 'counter' },
      help: 'Runs that were added.',
      values: [{ value: totals.added }],
    },
    {
      ...{ name: 'runqueue_runs_claimed_total', type: 'counter' },
      help: 'Claims: each time that a run was handed to a runner.',
      values: [{ value: totals.claimed }],
    },
    {
      ...{ name: 'runqueue_runs_finished_total', type: 'counter' },
      help: 'Runs that ended, by how they did.',
      values: each('outcome', totals.finished),
    },
    {
      ...{ name: 'runqueue_runs_retried_total', type: 'counter' },
      help: 'Attempts that ended and left the run pending for another.',
      values: [{ value: totals.retried }],
    },
    {
      ...{ name: 'runqueue_time_in_queue_seconds', type: 'histogram' },
      help: 'From when a run could be claimed until it was.',
      histogram: totals.queue_seconds,
    },
    {
      ...{ name: 'runqueue_run_time_seconds', type: 'histogram' },
      help: 'From the start of an attempt to its end, however it ended.',
      histogram: totals.run_seconds,
    },
    {
      ...{ name: 'runqueue_runners', type: 'gauge' },
      help: 'Runners that are registered: online, or stale, which gave no sign of life for long.',
      values: each('status', runners),
    },
  ]
}

const ofProcess = (commits: Histogram, { claims, waiting }: Polls): Metric[] => [
  {
    ...{ name: 'runqueue_process_commit_duration_seconds', type: 'histogram' },
    help: 'Of this server process: what its transactions took, from their begin until they were kept.',
    histogram: commits,
  },
  {
    ...{ name: 'runqueue_process_claim_duration_seconds', type: 'histogram' },
    help: 'Of this server process: what claims took in the database that got runs.',
    histogram: claims,
  },
  {
    ...{ name: 'runqueue_process_waiting_polls', type: 'gauge' },
    help: 'Of this server process: polls that wait for work.',
    values: [{ value: waiting.count }],
  },
]

/** By demands, the longest first; those beyond the limit as one. */
function oldest(waiting: readonly DemandGroup[], now: Timestamp) {
  const ages = new Map<string, number>()
  for (const [place, { demands, oldest }] of waiting.entries()) {
    // Long ones may be cut to the same words, and Prometheus takes no sample twice.
    const words = place < GROUPS_TOLD ? demandsText(demands) : '(others)'
    if (!ages.has(words)) ages.set(words, Math.max(0, secondsBetween(oldest.since, now)))
  }
  return [...ages].map(([words, value]) => ({ labels: { demands: words }, value }))
}

/** As people write them: `hostname=alpha tag=gpu`. */
function demandsText(demands: Demands | null): string {
  if (demands === null) return '(none)'
  const { tags, ...properties } = demands
  const words = Object.entries(properties).map(([name, value]) => `${name}=${value}`)
  return [...words, ...tags.map((tag) => `tag=${tag}`)].join(' ').slice(0, 200)
}
