/** Sessions: the conversations that runs belong to. */
import type { Engine } from '../../queue/engine.ts'
import { QueueError } from '../../queue/errors.ts'
import { isTerminal } from '../../queue/run.ts'
import type { Runner } from '../../queue/runner.ts'
import type { Session } from '../../queue/session.ts'
import { Button, Facts } from './facts.tsx'
import { Id, Status, sessionHref, Table, Theirs, Time, View } from './parts.tsx'
import { hostsOf, RunsTable } from './runs-table.tsx'

const PAGE = 50

export async function sessionsView({ sessions }: Engine, cursor: string | undefined) {
  const page = await sessions.list({ limit: PAGE, cursor })
  return (
    <View title="Sessions" follow="all">
      {page.sessions.length === 0 ? (
        <p class="empty">There are no sessions yet. Each run begins or resumes one.</p>
      ) : (
        <SessionsTable sessions={page.sessions} />
      )}
      <nav class="pages" aria-label="Pages">
        {cursor !== undefined && <a href="/dashboard/sessions">Newest</a>}
        {page.next_cursor && (
          <a href={`/dashboard/sessions?cursor=${encodeURIComponent(page.next_cursor)}`}>Older</a>
        )}
      </nav>
    </View>
  )
}

const SessionsTable = ({ sessions }: { sessions: readonly Session[] }) => (
  <Table label="Sessions, newest first">
    <thead>
      <tr>
        <th scope="col">Status</th>
        <th scope="col" class="wide">
          Session
        </th>
        <th scope="col" class="when-medium">
          Agent
        </th>
        <th scope="col" class="when-medium">
          Directory
        </th>
        <th scope="col" class="when-small">
          Host
        </th>
        <th scope="col" class="number">
          Created
        </th>
      </tr>
    </thead>
    <tbody>
      {sessions.map((session) => (
        <tr id={`row-${session.session_id}`} data-state={session.status}>
          <td>
            <Status of={session.status} />
          </td>
          <td class="wide">
            <Id href={sessionHref(session.session_id)}>{session.session_id}</Id>
          </td>
          <td class="name when-medium">
            <Theirs>{session.agent_name}</Theirs>
          </td>
          <td class="name when-medium">
            <Theirs>{session.project_dir}</Theirs>
          </td>
          <td class="name when-small">
            <Theirs>{session.hostname}</Theirs>
          </td>
          <td class="number">
            <Time at={session.created_at} />
          </td>
        </tr>
      ))}
    </tbody>
  </Table>
)

export async function sessionView(
  { sessions, runs }: Engine,
  runners: readonly Runner[],
  session_id: string,
  cursor: string | undefined,
) {
  const session = await sessions.get(session_id)
  if (!session) throw new QueueError('session_not_found', 'Session not found')
  const page = await runs.list({ session_id, limit: PAGE, cursor })
  const isStoppable =
    session.status === 'idle' ||
    page.runs.some(({ status }) => !isTerminal(status) && status !== 'stopping')
  return (
    <View
      title={`Session ${session_id}`}
      follow={{ session_id }}
      heading={
        <div class="title">
          <h1 tabindex={-1}>
            <span class="kind">Session</span> <span class="id">{session_id}</span>
          </h1>
          <Status of={session.status} />
          <span class="actions">
            {isStoppable && (
              <Button
                post={`/sessions/${encodeURIComponent(session_id)}/stop`}
                confirm="Stop what is active in this session?"
                words="What is at work in it is asked to stop, which cannot be taken back."
                danger
              >
                Stop
              </Button>
            )}
          </span>
        </div>
      }
    >
      <section class="card">
        <Facts
          facts={[
            ['Created', <Time at={session.created_at} />],
            ['Agent', <Theirs>{session.agent_name}</Theirs>],
            ['Directory', <Theirs>{session.project_dir}</Theirs>],
            ['Host', <Theirs>{session.hostname}</Theirs>],
            ['Profile', <Theirs>{session.executor_profile}</Theirs>],
            [
              'Parent',
              session.parent_session_id && (
                <Id href={sessionHref(session.parent_session_id)}>{session.parent_session_id}</Id>
              ),
            ],
          ]}
        />
      </section>
      <section class="card" aria-labelledby="runs-title">
        <h2 id="runs-title">Runs</h2>
        {page.runs.length > 0 ? (
          <RunsTable
            label="Runs of the session, newest first"
            runs={page.runs}
            hosts={hostsOf(runners)}
          />
        ) : (
          <p class="empty">It has no runs.</p>
        )}
        {page.next_cursor && (
          <nav class="pages" aria-label="Pages">
            <a href={`${sessionHref(session_id)}?cursor=${encodeURIComponent(page.next_cursor)}`}>
              Older
            </a>
          </nav>
        )}
      </section>
    </View>
  )
}
