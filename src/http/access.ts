/** Who may call what: the one table. A route that is not in it cannot be mounted. */
import type { TokenRole } from '../queue/token.ts'

export interface Access {
  /** Beside `admin`, which may do everything. */
  roles: readonly Exclude<TokenRole, 'admin'>[]
  /** What is being done, to fit behind "may not" and "a token is needed to". */
  doing: string
  /** The same with `?self=true`. */
  self?: Access
}

const by = (roles: Access['roles'], doing: string): Access => ({ roles, doing })
const client = (doing: string) => by(['client'], doing)
const runner = (doing: string) => by(['runner'], doing)
/** What executors, which have their runner's token, read and write of what they carry out. */
const clientOrRunner = (doing: string) => by(['client', 'runner'], doing)

/** By method and path as the routes state them; `open` needs no token. */
export const ACCESS: Readonly<Record<string, Access | 'open'>> = {
  'GET /health': 'open',
  'GET /openapi.json': 'open',
  'GET /docs': 'open',

  // The dashboard's pages hold nothing but the way to ask for the fragments.
  'GET /': 'open',
  'GET /dashboard/runs': 'open',
  'GET /dashboard/runs/:run_id': 'open',
  'GET /dashboard/sessions': 'open',
  'GET /dashboard/sessions/:session_id': 'open',
  'GET /dashboard/runners': 'open',
  'GET /dashboard/runners/:runner_id': 'open',
  'GET /dashboard/assets/:version/:name': 'open',
  'GET /dashboard/fragments/overview': client('look at the queue'),
  'GET /dashboard/fragments/activity': client('look at the queue'),
  'GET /dashboard/fragments/runs': client('look at runs'),
  'GET /dashboard/fragments/runs/:run_id': client('look at a run'),
  'GET /dashboard/fragments/sessions': client('look at sessions'),
  'GET /dashboard/fragments/sessions/:session_id': client('look at a session'),
  'GET /dashboard/fragments/runners': client('look at runners'),
  'GET /dashboard/fragments/runners/:runner_id': client('look at a runner'),

  'POST /runs': client('add a run'),
  'POST /runs/batch': client('add runs'),
  'GET /runs': client('list runs'),
  'GET /runs/:run_id': clientOrRunner('look at a run'),
  'GET /runs/:run_id/events': client('read the history of a run'),
  'GET /runs/:run_id/explain': clientOrRunner('ask why a run does not start'),
  'POST /runs/:run_id/stop': client('stop a run'),
  'POST /runs/:run_id/retry': client('retry a run'),

  'GET /sessions': client('list sessions'),
  'GET /sessions/:session_id': clientOrRunner('look at a session'),
  'GET /sessions/:session_id/status': clientOrRunner('look at a session'),
  'GET /sessions/:session_id/affinity': clientOrRunner('look at a session'),
  'GET /sessions/:session_id/result': client('read the result of a session'),
  'GET /sessions/:session_id/events': client('read the events of a session'),
  'POST /sessions/:session_id/bind': clientOrRunner('bind a session'),
  'POST /sessions/:session_id/events': clientOrRunner('add an event to a session'),
  'PATCH /sessions/:session_id/metadata': clientOrRunner('change a session'),
  'POST /sessions/:session_id/stop': client('stop a session'),
  'DELETE /sessions/:session_id': client('delete a session'),

  'GET /events': client('follow runs'),
  'GET /sse/sessions': client('follow sessions'),

  // All of these name a runner, which must be the token's own.
  'POST /runner/register': runner('register a runner'),
  'GET /runner/runs': runner('poll for work'),
  'POST /runner/runs/claim': runner('claim runs'),
  'POST /runner/runs/:run_id/started': runner('report on a run'),
  'POST /runner/runs/:run_id/completed': runner('report on a run'),
  'POST /runner/runs/:run_id/failed': runner('report on a run'),
  'POST /runner/runs/:run_id/stopped': runner('report on a run'),
  'POST /runner/sessions/:session_id/status': runner('report on a session'),
  'POST /runner/heartbeat': runner('send a heartbeat'),
  'GET /agents': runner('list agents'),
  'GET /agents/:name': runner('look at an agent'),

  'GET /metrics': client('read the metrics'),

  'GET /runners': clientOrRunner('list runners'),
  'GET /runners/:runner_id/explain': clientOrRunner('ask why a runner gets nothing'),
  'DELETE /runners/:runner_id': { ...by([], 'remove a runner'), self: runner('sign a runner off') },
}
