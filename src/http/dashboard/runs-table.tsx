import type { Run } from '../../queue/run.ts'
import type { Runner } from '../../queue/runner.ts'
import { Id, Nothing, RunLink, runnerHref, Status, Table, Theirs, Time, Took } from './parts.tsx'

export type Hosts = ReadonlyMap<string, string>
export const hostsOf = (runners: readonly Runner[]): Hosts =>
  new Map(runners.map(({ runner_id, hostname }) => [runner_id, hostname]))

interface Props {
  label: string
  runs: readonly Run[]
  hosts: Hosts
  /** Fewer columns, for a list beside others. */
  brief?: boolean
}

/** A change of `data-state` makes the page show for a moment that the row changed. */
export const RunsTable = ({ label, runs, hosts, brief = false }: Props) => (
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
        <th scope="col" class="when-medium">
          Runner
        </th>
        <th scope="col" class="number">
          Added
        </th>
        <th scope="col" class={`number ${brief ? 'when-medium' : 'when-small'}`}>
          Ran
        </th>
      </tr>
    </thead>
    <tbody>
      {runs.map((run) => (
        <Row run={run} hosts={hosts} brief={brief} />
      ))}
    </tbody>
  </Table>
)

const Row = ({ run, hosts, brief }: { run: Run } & Pick<Props, 'hosts' | 'brief'>) => (
  <tr id={`row-${run.run_id}`} data-state={`${run.status} ${run.attempt} ${run.available_at}`}>
    <td>
      <Status of={run.status} />
      {run.available_at !== null && (
        <small class="faint">
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
        <td class="when-medium">
          <Theirs>{run.agent_name}</Theirs>
        </td>
      </>
    )}
    <td class="when-medium">
      <Holder runner_id={run.runner_id} hosts={hosts} />
    </td>
    <td class="number">
      <Time at={run.created_at} />
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
