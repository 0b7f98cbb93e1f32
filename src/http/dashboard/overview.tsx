/** The first view: how much there is, what waits for what, and what is at work. */
import { satisfies } from '../../queue/demands.ts'
import type { Engine } from '../../queue/engine.ts'
import type { Count } from '../../queue/insight.ts'
import type { DemandGroup, Standing } from '../../queue/overview.ts'
import { LIST_LIMIT } from '../../queue/run-queue.ts'
import type { RunnerView } from '../views.ts'
import { SPANS, type Span } from './activity.tsx'
import { countText, DemandChips, Mark, runHref, Table, Time, View } from './parts.tsx'
import { hostsOf, RunsTable } from './runs-table.tsx'

const GROUPS = 30
const LISTED = 12

export async function overviewView(
  { overview, runs }: Engine,
  runners: readonly (RunnerView & { deregistered_at: string | null })[],
  span: Span,
) {
  const [standing, waiting, active, ended] = await Promise.all([
    overview.standing(),
    overview.demandGroups(GROUPS),
    runs.active(LISTED),
    overview.ended(LISTED),
  ])
  const online = runners.filter((each) => each.status === 'online' && !each.deregistered_at)
  const hosts = hostsOf(runners)
  /** There may be more runners than these. */
  const isCut = runners.length >= LIST_LIMIT
  const count = (of: number): Count => ({ count: of, at_least: isCut })
  const more = waiting.groups_left_out
  return (
    <View title="Overview" heading={<h1 class="unseen">Overview</h1>} follow="all">
      <Tiles
        standing={standing}
        online={count(online.length)}
        stale={count(runners.length - online.length)}
      />
      <section class="card" aria-labelledby="activity-title">
        <div class="head">
          <h2 id="activity-title">Activity</h2>
          <nav class="spans" aria-label="How far back">
            {Object.entries(SPANS).map(([name, { words }]) => (
              <a href={`/?span=${name}`} aria-current={name === span ? 'true' : undefined}>
                {words}
              </a>
            ))}
          </nav>
        </div>
        <div data-part={`/dashboard/fragments/activity?span=${span}`} data-keep="" />
      </section>
      <section class="card" aria-labelledby="waiting-title">
        <h2 id="waiting-title">Waiting</h2>
        {waiting.groups.length === 0 ? (
          <p class="empty">
            Nothing waits to be claimed. <code>runqueue add 'a prompt'</code> adds a run.
          </p>
        ) : (
          <Groups groups={waiting.groups} online={online} isCut={isCut} />
        )}
        {more.count > 0 && (
          <p class="faint foot">
            {countText(more)} more demands have waited less long and are not shown.
          </p>
        )}
      </section>
      <div class="pair">
        <section class="card" aria-labelledby="active-title">
          <h2 id="active-title">At work</h2>
          {active.length === 0 ? (
            <p class="empty">No runner holds a run.</p>
          ) : (
            <RunsTable label="Runs at work" runs={active} hosts={hosts} brief order="oldest" />
          )}
        </section>
        <section class="card" aria-labelledby="ended-title">
          <h2 id="ended-title">Ended</h2>
          {ended.runs.length > 0 && (
            <RunsTable
              label="Runs that ended"
              runs={ended.runs}
              hosts={hosts}
              brief
              order="ended"
            />
          )}
          {ended.looked_back_to !== null ? (
            <p class="faint foot">
              Much was added since <Time at={ended.looked_back_to} />, so this goes no further back.
            </p>
          ) : (
            ended.runs.length === 0 && <p class="empty">No run has ended yet.</p>
          )}
        </section>
      </div>
    </View>
  )
}

function Tiles(props: { standing: Standing; online: Count; stale: Count }) {
  const { standing, online, stale } = props
  const { scheduled } = standing
  return (
    <ul class="tiles">
      <Tile
        status="pending"
        count={standing.pending}
        more={scheduled.count > 0 ? `${countText(scheduled)} for later` : undefined}
      />
      <Tile status="claimed" count={standing.claimed} />
      <Tile status="running" count={standing.running} />
      <Tile status="stopping" count={standing.stopping} />
      <li>
        <a class="tile is-online" href="/dashboard/runners">
          <span class="name">
            <Mark of="online" />
            runners online
          </span>
          <b>{countText(online)}</b>
          {stale.count > 0 && <small class="is-stale">{countText(stale)} stale</small>}
        </a>
      </li>
    </ul>
  )
}

const Tile = (props: { status: string; count: Count; more?: string | undefined }) => (
  <li>
    <a class={`tile is-${props.status}`} href={`/dashboard/runs?status=${props.status}`}>
      <span class="name">
        <Mark of={props.status} />
        {props.status}
      </span>
      <b>{countText(props.count)}</b>
      {props.more && <small>{props.more}</small>}
    </a>
  </li>
)

interface GroupsProps {
  groups: DemandGroup[]
  online: readonly RunnerView[]
  isCut: boolean
}

const Groups = ({ groups, online, isCut }: GroupsProps) => (
  <Table label="What waits, by what it demands">
    <thead>
      <tr>
        <th scope="col" class="wide">
          Demands
        </th>
        <th scope="col" class="number">
          Waiting
        </th>
        <th scope="col" class="number">
          Oldest for
        </th>
        <th scope="col" class="when-medium">
          Next
        </th>
        <th scope="col">Who can take it</th>
      </tr>
    </thead>
    <tbody>
      {groups.map(({ demands, waiting, oldest, next_run_id }) => {
        const able = online.filter((runner) => satisfies(runner, demands)).length
        return (
          <tr id={`group-${JSON.stringify(demands)}`}>
            <td class="wide">
              <DemandChips demands={demands} />
            </td>
            <td class="number">{countText(waiting)}</td>
            <td class="number">
              <a href={runHref(oldest.run_id)}>
                <Time at={oldest.since} as="for" />
              </a>
            </td>
            <td class="when-medium">
              <a class="id" href={runHref(next_run_id)}>
                {next_run_id}
              </a>
            </td>
            <td>
              <Able able={able} isCut={isCut} />
            </td>
          </tr>
        )
      })}
    </tbody>
  </Table>
)

function Able({ able, isCut }: { able: number; isCut: boolean }) {
  if (able === 0 && !isCut) {
    return (
      <span class="status is-failed">
        <Mark of="stale" />
        <span>
          nobody<span class="when-small"> online</span>
        </span>
      </span>
    )
  }
  if (able === 1 && !isCut) return <>1 runner</>
  return <>{countText({ count: able, at_least: isCut })} runners</>
}
