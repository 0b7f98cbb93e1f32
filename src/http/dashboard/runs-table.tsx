import type { Run } from '../../queue/run.ts'
import type { Runner } from '../../queue/runner.ts'
import { Id, Nothing, RunLink, runnerHref, Status, Table, Theirs, Time, Took } from './parts.tsx'

export type Hosts = ReadonlyMap<string, string>
export const hostsOf = (runners: readonly Runner[]): Hosts =>
  new Map(runners.map(({ runner_id, hostname }) => [runner_id, hostname]))

const ORDERS = {
  newest: { title: 'Added', sort: 'descending', at: 'created_at' },
  oldest: { title: 'Added', sort: 'ascending', at: 'created_at' },
  ended: { title: 'Ended', sort: 'descending', at: 'completed_at' },
} as const

interface Props {
  label: string
  runs: readonly Run[]
  /** Absent where all are of one runner. */
  hosts?: Hosts | undefined
  /** Fewer columns, for a list beside others. */
  brief?: boolean
  /** By what the list goes, and so which time it shows. */
  order?: keyof typeof ORDERS
}

/** A change of `data-state` makes the page show for a moment that the row changed. */
export const RunsTable = ({ label, runs, hosts, brief = false, order = 'newest' }: Props) => (
  <Table label={label}>
    <thead>
      <tr>
        <th scope="col">Status</th>
        <th scope="col" class="wide">
          Run
        </th>
        {!brief && (
          <>
            <th scope="col" class="when-wide">
              Id
            </th>
            <th scope="col" class="when-medium">
              Agent
            </th>
          </>
        )}
        {hosts && (
          <th scope="col" class="when-medium">
            Runner
          </th>
        )}
        <th scope="col" class="number" aria-sort={ORDERS[order].sort}>
          {ORDERS[order].title}
        </th>
        <th scope="col" class={`number ${brief ? 'when-medium' : 'when-small'}`}>
          Ran
        </th>
      </tr>
    </thead>
    <tbody>
      {runs.map((run) => (
        <Row run={run} hosts={hosts} brief={brief} order={order} />
      ))}
    </tbody>
  </Table>
)

const Row = ({
  run,
  hosts,
  brief,
  order,
}: { run: Run } & Required<Omit<Props, 'label' | 'runs'>>) => (
  <tr id={`row-${run.run_id}`} data-state={`${run.status} ${run.attempt} ${run.available_at}`}>
    <td>
      <Status of={run.status} />
      {run.available_at !== null && (
        <small class="faint under">
          {' '}
          <Time at={run.available_at} />
        </small>
      )}
    </td>
    <td class="wide">
      <RunLink run={run} />
      {run.max_attempts > 1 && run.attempt > 1 && (
        <small class="faint">
          {' '}
          attempt {run.attempt} of {run.max_attempts}
        </small>
      )}
    </td>
    {!brief && (
      <>
        <td class="when-wide">
          <Id>{run.run_id}</Id>
        </td>
        <td class="name when-medium">
          <Theirs>{run.agent_name}</Theirs>
        </td>
      </>
    )}
    {hosts && (
      <td class="name when-medium">
        <Holder runner_id={run.runner_id} hosts={hosts} />
      </td>
    )}
    <td class="number">
      <Time at={run[ORDERS[order].at]} />
    </td>
    <td class={`number ${brief ? 'when-medium' : 'when-small'}`}>
      <Took run={run} />
    </td>
  </tr>
)

/** By its host's name; one that is gone by its id. */
export function Holder({ runner_id, hosts }: { runner_id: string | null; hosts: Hosts }) {
  if (runner_id === null) return <Nothing />
  const host = hosts.get(runner_id)
  return (
    <a href={runnerHref(runner_id)} title={runner_id}>
      {host === undefined ? <span class="id">{runner_id}</span> : <Theirs>{host}</Theirs>}
    </a>
  )
}
