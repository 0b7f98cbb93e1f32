/** A runner: what it offers, and the runs that it has or had. */
import type { Engine } from '../../queue/engine.ts'
import { QueueError } from '../../queue/errors.ts'
import type { Terms } from '../../queue/insight.ts'
import type { Timestamp } from '../../queue/run.ts'
import { RunnerWhy } from './explanation.tsx'
import { Facts } from './facts.tsx'
import { Status, Tags, Theirs, Time, View } from './parts.tsx'
import { type SeenRunner, stateOf } from './runners.tsx'
import { RunsTable } from './runs-table.tsx'

const LISTED = 25

export async function runnerPage(
  { runs, insight }: Engine,
  runner: SeenRunner | null,
  terms: Terms,
  now: Timestamp,
) {
  if (!runner) throw new QueueError('runner_not_found', 'Runner not found')
  const { runner_id } = runner
  const explanation = await insight.explainRunner(runner_id, terms, now)
  const page = await runs.list({ runner_id, limit: LISTED })
  const query = `runner_id=${encodeURIComponent(runner_id)}`
  return (
    <View title={`Runner ${runner_id}`} follow="all" heading={<Heading runner={runner} />}>
      <div class="sides">
        <div>
          <RunnerWhy explanation={explanation} />
          <section class="card" aria-labelledby="runs-title">
            <h2 id="runs-title">Runs</h2>
            {page.runs.length > 0 ? (
              <RunsTable label="Runs of the runner, newest first" runs={page.runs} brief />
            ) : (
              <p class="empty">It has had none.</p>
            )}
            {page.next_cursor && (
              <nav class="pages" aria-label="Pages">
                <a href={`/dashboard/runs?${query}`}>All of its runs</a>
              </nav>
            )}
          </section>
        </div>
        <div>
          <section class="card" aria-labelledby="facts-title">
            <h2 id="facts-title">Facts</h2>
            <RunnerFacts runner={runner} />
          </section>
        </div>
      </div>
    </View>
  )
}

const Heading = ({ runner }: { runner: SeenRunner }) => (
  <div class="title">
    <h1 tabindex={-1}>
      <span class="kind">Runner on</span> <Theirs>{runner.hostname}</Theirs>
    </h1>
    <Status of={stateOf(runner)} />
  </div>
)

const RunnerFacts = ({ runner }: { runner: SeenRunner }) => (
  <Facts
    facts={[
      ['Id', <span class="id">{runner.runner_id}</span>],
      ['Last seen', <Time at={runner.last_heartbeat} />],
      ['Registered', <Time at={runner.registered_at} />],
      ['Being removed', runner.deregistered_at && <Time at={runner.deregistered_at} />],
      ['Directory', <Theirs>{runner.project_dir}</Theirs>],
      ['Profile', runner.executor_profile && <Theirs>{runner.executor_profile}</Theirs>],
      ['Type', runner.executor_type && <Theirs>{runner.executor_type}</Theirs>],
      [
        'Tags',
        runner.tags.length > 0 && (
          <span class="chips">
            <Tags tags={runner.tags} />
          </span>
        ),
      ],
      ['Takes', runner.require_matching_tags && 'only runs that demand one of its tags'],
    ]}
  />
)
