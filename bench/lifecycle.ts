/** Whole lifecycles in process, against the same work in hand-written statements. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Durability } from '../src/queue/engine.ts'
import { type Client, loadDriver } from '../src/sqlite/driver.ts'
import { openSqliteEngine } from '../src/sqlite/engine.ts'
import { type Figure, inTurn, lifecycle, median, medianRatio, now, register } from './support.ts'

const DURATION_MS = 2000

/** Lifecycles a second by so many callers at once. */
const queueRate = (durability: Durability, callers: number) => async (folder: string) => {
  const engine = await openSqliteEngine({ url: `file:${join(folder, 'q.db')}`, durability })
  await register(engine, 'runner')
  for (let i = 0; i < 200; i++) await lifecycle(engine, 'runner')
  let done = 0
  const start = performance.now()
  const caller = async () => {
    while (performance.now() - start < DURATION_MS) {
      await lifecycle(engine, 'runner')
      done += 1
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  const rate = done / ((performance.now() - start) / 1000)
  await engine.close()
  return rate
}

/** The least that does it: a 17-column table with the same indexes on status, no session, no event. */
function handWritten(client: Client) {
  client.exec(`
    CREATE TABLE runs (
      run_id TEXT PRIMARY KEY, session_id TEXT, type TEXT, agent_name TEXT, prompt TEXT,
      project_dir TEXT, parent_session_id TEXT, execution_mode TEXT, demands TEXT, status TEXT,
      runner_id TEXT, error TEXT, created_at TEXT, claimed_at TEXT, started_at TEXT,
      completed_at TEXT, timeout_at TEXT);
    CREATE INDEX status_created ON runs (status, created_at);
    CREATE INDEX session ON runs (session_id);
    CREATE INDEX runner ON runs (runner_id);`)
  const add = client.prepare(
    `INSERT INTO runs (run_id, session_id, type, prompt, execution_mode, status, created_at)
     VALUES (?, ?, 'start_session', ?, 'sync', 'pending', ?)`,
  )
  const claim = client.prepare(
    `UPDATE runs SET status = 'claimed', runner_id = ?, claimed_at = ?
     WHERE run_id = (SELECT run_id FROM runs WHERE status = 'pending' ORDER BY created_at LIMIT 1)
     RETURNING *`,
  )
  const start = client.prepare(
    `UPDATE runs SET status = 'running', started_at = ?
     WHERE run_id = ? AND runner_id = ? AND status = 'claimed'`,
  )
  const complete = client.prepare(
    `UPDATE runs SET status = 'completed', completed_at = ?
     WHERE run_id = ? AND runner_id = ? AND status = 'running'`,
  )
  return () => {
    // By chance alone, as ids are drawn where nobody thinks of the pages of an index.
    const id = () => randomUUID().slice(-12)
    add.run(id(), id(), 'summarise the report and send it to the team', now())
    const run = claim.get('runner', now()) as { run_id: string }
    start.run(now(), run.run_id, 'runner')
    complete.run(now(), run.run_id, 'runner')
  }
}

const handWrittenRate = (durability: Durability) => async (folder: string) => {
  const Driver = await loadDriver()
  const client = new Driver(join(folder, 'hand.db'))
  client.pragma('journal_mode = WAL')
  client.pragma(`synchronous = ${durability}`)
  const once = handWritten(client)
  for (let i = 0; i < 200; i++) once()
  let done = 0
  const start = performance.now()
  while (performance.now() - start < DURATION_MS) {
    once()
    done += 1
  }
  const rate = done / ((performance.now() - start) / 1000)
  client.close()
  return rate
}

export async function lifecycleFigures(): Promise<Figure[]> {
  const rates = await inTurn({
    'hand-written, normal, 1 caller': handWrittenRate('normal'),
    'runqueue, normal, 1 caller': queueRate('normal', 1),
    'hand-written, full, 1 caller': handWrittenRate('full'),
    'runqueue, full, 64 callers': queueRate('full', 64),
    'runqueue, full, 1 caller': queueRate('full', 1),
  })
  const perSecond = (name: keyof typeof rates) => `${Math.round(median(rates[name]))}/s`
  const compared = (ours: keyof typeof rates, theirs: keyof typeof rates) => ({
    what: `lifecycles: ${ours} / ${theirs}`,
    value: medianRatio(rates[ours], rates[theirs]),
    unit: '×' as const,
    better: 'more' as const,
    detail: `${perSecond(ours)} / ${perSecond(theirs)}`,
  })
  const one = compared('runqueue, normal, 1 caller', 'hand-written, normal, 1 caller')
  const many = compared('runqueue, full, 64 callers', 'hand-written, full, 1 caller')
  const alone = `runqueue, full, 1 caller: ${perSecond('runqueue, full, 1 caller')}`
  return [
    { ...one, bar: 0.5, aim: 0.8 },
    { ...many, detail: `${many.detail} (${alone})`, bar: 3, aim: 5 },
  ]
}
