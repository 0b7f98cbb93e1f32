// Loaded before a server: makes its SQLite driver do what no server may do (env: FAULT).
// JavaScript, and the driver rather than the sources: the built program runs as it is.
const isOld = Number(process.versions.node.split('.')[0]) < 22
const { default: Database } = await import(isOld ? 'better-sqlite3-node20' : 'better-sqlite3')
const prepare = Database.prototype.prepare

/** SQL that is another after the driver got it. */
const REPLACEMENTS = {
  // Now and then it takes what somebody holds.
  claims_what_is_held: [
    [
      /seq = (\s*\(CASE WHEN[\s\S]* END\)) AND status = 'pending' AND available_at IS NULL/,
      `seq = coalesce(
        (SELECT seq FROM runs WHERE status = 'running' AND random() % 4 = 0 LIMIT 1), $1)`,
    ],
  ],
  takes_outdated_tokens: [[/OR claim_token = \?\)/, 'OR claim_token = ? OR 1)']],
  forgets_idempotency_keys: [[/"idempotency_key" = \?/, '"idempotency_key" = ? AND 0']],
  forgets_claim_keys: [[/claim_key = \? AND \+runner_id/, 'claim_key = ? AND 0 AND +runner_id']],
  retries_without_end: [[/attempt < max_attempts/g, 'true']],
  keeps_stops_to_itself: [[/stop_sent_at IS NULL OR/g, '0 AND']],
  newest_first: [
    [/ORDER BY priority DESC, created_at, seq/, 'ORDER BY priority, created_at, seq'],
    [
      /ORDER BY head.priority DESC, head.created_at/,
      'ORDER BY head.priority, head.created_at DESC',
    ],
  ],
  hastens: [[/available_at <= \?/, '(available_at <= ? OR true)']],
  // What was told stays, and is told again.
  tells_parents_again: [[/^delete from "callbacks"/, 'update "callbacks" set status = status']],
  drops_results: [[/"result" = \?/, '"result" = iif(? IS NULL, NULL, NULL)']],
}

/** Commits come this much after their answers. */
const LATE_MS = 150

Database.prototype.prepare = function (source) {
  const replaced = (REPLACEMENTS[process.env.FAULT] ?? []).reduce(
    (sql, [from, to]) => sql.replace(from, to),
    source,
  )
  if (process.env.FAULT === 'forgets_idempotency_keys' && source === 'BEGIN IMMEDIATE') {
    this.exec('DROP INDEX IF EXISTS idx_runs_idempotency')
  }
  const statement = prepare.call(this, replaced)
  return process.env.FAULT === 'acknowledges_first' ? late(this, source, statement) : statement
}

const timers = new WeakMap()

/** As a disk that lies: what was acknowledged is gone if the process ends before the commit. */
function late(client, source, statement) {
  const run = statement.run.bind(statement)
  if (source === 'BEGIN IMMEDIATE') {
    statement.run = () => (client.inTransaction ? undefined : run())
  }
  if (source === 'COMMIT') {
    statement.run = () => {
      if (timers.has(client)) return
      const commit = () => {
        timers.delete(client)
        if (client.inTransaction) run()
      }
      timers.set(client, setTimeout(commit, LATE_MS))
    }
  }
  if (/wal_checkpoint/.test(source)) statement.get = () => ({ log: 0, checkpointed: 0 })
  return statement
}
