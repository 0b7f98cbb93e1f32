/** The registry of runners: who is there, what each offers and holds, and when it was heard of. */
import type { Engine } from '../../queue/engine.ts'
import type { Run } from '../../queue/run.ts'
import { LIST_LIMIT } from '../../queue/run-queue.ts'
import type { RunnerView } from '../views.ts'
import {
  Id,
  line,
  Nothing,
  numberText,
  runHref,
  runnerHref,
  Status,
  Table,
  Tags,
  Theirs,
  Time,
  View,
} from './parts.tsx'

/** So many of the runs that a runner holds are named in its row. */
const NAMED = 3

export type SeenRunner = RunnerView & { deregistered_at: string | null }
export const stateOf = ({ status, deregistered_at }: SeenRunner) =>
  deregistered_at === null ? status : 'deregistered'

export async function runnersView({ runs }: Engine, runners: readonly SeenRunner[]) {
  const held = new Map<string | null, Run[]>()
  for (const run of await runs.active(LIST_LIMIT)) {
    held.set(run.runner_id, [...(held.get(run.runner_id) ?? []), run])
  }
  return (
    <View title="Runners" follow="all">
      {runners.length === 0 ? (
        <p class="empty">
          No runner is registered. <code>runqueue runner -- command</code> starts one.
        </p>
      ) : (
        <RunnersTable runners={runners} held={held} />
      )}
      {runners.length >= LIST_LIMIT && (
        <p class="faint foot">Only the first {numberText(LIST_LIMIT)} are shown.</p>
      )}
    </View>
  )
}

interface Props {
  runners: readonly SeenRunner[]
  held: ReadonlyMap<string | null, Run[]>
}

const RunnersTable = ({ runners, held }: Props) => (
  <Table label="Runners, in order of registration">
    <thead>
      <tr>
        <th scope="col">State</th>
        <th scope="col">Host</th>
        <th scope="col" class="when-small">
          Executor
        </th>
        <th scope="col" class="when-medium">
          Tags
        </th>
        <th scope="col" class="wide when-small">
          Holds
        </th>
        <th scope="col" class="when-wide">
          Id
        </th>
        <th scope="col" class="number">
          Last seen
        </th>
      </tr>
    </thead>
    <tbody>
      {runners.map((runner) => (
        <tr id={`row-${runner.runner_id}`} data-state={stateOf(runner)}>
          <td>
            <Status of={stateOf(runner)} />
          </td>
          <td class="name">
            <a href={runnerHref(runner.runner_id)} title={runner.project_dir}>
              <Theirs>{runner.hostname}</Theirs>
            </a>
          </td>
          <td class="name when-small">
            <Theirs>{runner.executor_profile ?? runner.executor_type}</Theirs>
          </td>
          <td class="when-medium">
            <span class="chips in-row">
              <Tags tags={runner.tags} />
              {runner.require_matching_tags && <span class="faint">only these</span>}
            </span>
          </td>
          <td class="wide when-small">
            <Holds runner={runner} runs={held.get(runner.runner_id) ?? []} />
          </td>
          <td class="when-wide">
            <Id>{runner.runner_id}</Id>
          </td>
          <td class="number">
            <Time at={runner.last_heartbeat} />
          </td>
        </tr>
      ))}
    </tbody>
  </Table>
)

function Holds({ runner, runs }: { runner: SeenRunner; runs: readonly Run[] }) {
  if (runs.length === 0) return <Nothing />
  const query = `runner_id=${encodeURIComponent(runner.runner_id)}&status=claimed,running,stopping`
  return (
    <ul class="holds">
      {runs.slice(0, NAMED).map((run) => (
        <li>
          <Status of={run.status} />{' '}
          <a class="prompt" href={runHref(run.run_id)}>
            <Theirs>{line(run.prompt) || run.run_id}</Theirs>
          </a>
        </li>
      ))}
      {runs.length > NAMED && (
        <li>
          <a href={`/dashboard/runs?${query}`}>and {numberText(runs.length - NAMED)} more</a>
        </li>
      )}
    </ul>
  )
}
