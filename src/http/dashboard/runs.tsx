/** The list of runs, with what it can be narrowed to. */
import type { z } from 'zod'
import type { Engine } from '../../queue/engine.ts'
import { SEARCH_LIMIT } from '../../queue/overview.ts'
import { RUN_STATUSES, type Run, type RunStatus, type Timestamp } from '../../queue/run.ts'
import type { Runner } from '../../queue/runner.ts'
import { numberText, Status, Time, View } from './parts.tsx'
import { hostsOf, RunsTable } from './runs-table.tsx'
import type { runsQuery } from './schemas.ts'

const PAGE = 50

export type RunsQuery = z.output<typeof runsQuery>

interface Found {
  runs: Run[]
  next_cursor: string | null
  looked_back_to?: Timestamp | null
}

export async function runsView(engine: Engine, runners: readonly Runner[], query: RunsQuery) {
  const { cursor } = query
  const found = await find(engine, query)
  const next = found.next_cursor && `?${searchText({ ...query, cursor: found.next_cursor })}`
  const { cursor: _, ...first } = query
  return (
    <View title="Runs" follow="all">
      <Filter query={query} />
      {found.runs.length > 0 && (
        <RunsTable label="Runs, newest first" runs={found.runs} hosts={hostsOf(runners)} />
      )}
      {found.runs.length === 0 && <p class="empty">{emptyWords(query)}</p>}
      <nav class="pages" aria-label="Pages">
        {cursor !== undefined && <a href={`/dashboard/runs?${searchText(first)}`}>Newest</a>}
        {next && <a href={`/dashboard/runs${next}`}>Older</a>}
        {found.looked_back_to && (
          <span class="faint">
            A search by text or agent looks through {numberText(SEARCH_LIMIT)} runs at a time; this
            one went back to <Time at={found.looked_back_to} as="at" />.
          </span>
        )}
      </nav>
    </View>
  )
}

/**
 * Ids, statuses, sessions and runners have an index, so they are found however many runs there are;
 * text and agents have none, and are looked for in a bounded piece of the newest.
 */
async function find({ runs, overview }: Engine, query: RunsQuery): Promise<Found> {
  const { q, agent, status, session_id, runner_id, cursor } = query
  if (q?.startsWith('run_')) {
    const run = await runs.get(q)
    return { runs: run ? [run] : [], next_cursor: null }
  }
  const statuses: RunStatus[] | undefined = status.length > 0 ? status : undefined
  const session = q?.startsWith('ses_') ? q : session_id
  const runner = q?.startsWith('lnch_') ? q : runner_id
  const text = q !== undefined && session !== q && runner !== q ? q : undefined
  if (text === undefined && agent === undefined) {
    return await runs.list({
      statuses,
      session_id: session,
      runner_id: runner,
      limit: PAGE,
      cursor,
    })
  }
  return await overview.search({
    ...{ statuses, session_id: session, runner_id: runner, agent_name: agent, text },
    ...{ limit: PAGE, cursor },
  })
}

const isNarrow = ({ q, agent, status, session_id, runner_id }: RunsQuery) =>
  Boolean(q || agent || status.length > 0 || session_id || runner_id)

const emptyWords = (query: RunsQuery) =>
  query.cursor !== undefined
    ? 'None on this page.'
    : isNarrow(query)
      ? 'No run is like that.'
      : 'There are no runs yet. `runqueue add` adds one.'

function searchText(query: RunsQuery): string {
  const { status, ...others } = query
  const given = Object.entries(others).filter(([, value]) => value !== undefined)
  const search = new URLSearchParams(given as [string, string][])
  if (status.length > 0) search.set('status', status.join(','))
  return search.toString().replaceAll('%2C', ',')
}

const Filter = ({ query }: { query: RunsQuery }) => (
  <search>
    <form class="filter" data-filter="/dashboard/runs">
      <div class="field grow">
        <label for="q">Search</label>
        <input
          id="q"
          name="q"
          type="search"
          value={query.q}
          maxlength={200}
          autocomplete="off"
          placeholder="Run, session or runner id, or text of the prompt"
        />
      </div>
      <div class="field">
        <label for="agent">Agent</label>
        <input
          id="agent"
          name="agent"
          type="search"
          value={query.agent}
          maxlength={500}
          autocomplete="off"
        />
      </div>
      <button type="submit">Find</button>
      <fieldset>
        <legend>Status</legend>
        {RUN_STATUSES.map((status) => (
          <label class="check">
            <input
              type="checkbox"
              name="status"
              value={status}
              checked={query.status.includes(status)}
            />
            <Status of={status} />
          </label>
        ))}
      </fieldset>
      <Kept name="session_id" title="Session" value={query.session_id} />
      <Kept name="runner_id" title="Runner" value={query.runner_id} />
    </form>
  </search>
)

/** What a link narrowed the list to: shown, and taken away by unticking it. */
const Kept = ({
  name,
  title,
  value,
}: {
  name: string
  title: string
  value: string | undefined
}) =>
  value === undefined ? null : (
    <label class="check">
      <input type="checkbox" name={name} value={value} checked />
      {title} <span class="id">{value}</span>
    </label>
  )
