/** Runs that come by plain SQL, from a shell or another program, obey the same rules. */
import type pg from 'pg'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { satisfies } from '../../src/queue/demands.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { openFixture, openShell } from './fixture.ts'

interface Row {
  type: string
  parameters: string
  demands: string | null
}
type Insert = (facts?: Partial<Row>) => Promise<unknown>

async function openWithShell(): Promise<{ world: World; shell: pg.Client; insert: Insert }> {
  const world = await openWorld(openFixture)
  const shell = await openShell(world.fixture.opener.url)
  onTestFinished(() => shell.end())
  // As somebody who knows nothing of the schema's place in the search_path.
  await shell.query('SET search_path TO public')
  await shell.query(
    "INSERT INTO runqueue.sessions (session_id, status, created_at, updated_at) VALUES ('ses_x', 'pending', '', '')",
  )
  const usual = { type: 'start_session', parameters: '{"prompt":"hi"}', demands: null }
  const insert: Insert = (facts) => {
    const { type, parameters, demands } = { ...usual, ...facts }
    return shell.query(
      "INSERT INTO runqueue.runs (run_id, session_id, type, parameters, demands) VALUES ('run_x', 'ses_x', $1, $2, $3)",
      [type, parameters, demands],
    )
  }
  return { world, shell, insert }
}

describe('a run inserted by plain SQL', () => {
  it('is a pending run like any other', async () => {
    const { world, insert } = await openWithShell()
    await insert()
    const run = await world.runNow({ run_id: 'run_x' })
    expect(run).toMatchObject({
      ...{ status: 'pending', prompt: 'hi', execution_mode: 'sync', priority: 0 },
      ...{ attempt: 0, max_attempts: 1, demands: null },
    })
    expect(new Date(run.created_at).toISOString()).toBe(run.created_at)
    expect(Math.abs(Date.now() - Date.parse(run.created_at))).toBeLessThan(60_000)
    expect(await world.claim(await world.register())).toMatchObject([{ run_id: 'run_x' }])
  })

  it('needs parameters alone: it gets ids, and a session that is like any other', async () => {
    const { world, shell } = await openWithShell()
    await shell.query(
      `INSERT INTO runqueue.runs (parameters, agent_name, project_dir)
       VALUES ('{"prompt":"hi"}', 'writer', '/dir')`,
    )
    const [run] = await world.runs.pending(10)
    expect(run?.run_id).toMatch(/^run_[0-9a-f]{12}$/)
    expect(run?.session_id).toMatch(/^ses_[0-9a-f]{12}$/)
    expect(run).toMatchObject({ type: 'start_session', prompt: 'hi' })
    const facts = { agent_name: 'writer', project_dir: '/dir', created_at: run?.created_at }
    const session = await world.sessionNow(run ?? { session_id: '' })
    expect(session).toMatchObject({ ...facts, status: 'pending', parent_session_id: null })
    const held = await world.claim(await world.register())
    expect(held).toMatchObject([{ run_id: run?.run_id, attempt: 1 }])
  })

  it('goes on with a session that ended, which waits again', async () => {
    const { world, shell } = await openWithShell()
    const { session_id } = (await world.bring('completed')).run
    await shell.query(
      `INSERT INTO runqueue.runs (type, session_id, parameters)
       VALUES ('resume_session', '${session_id}', '{"prompt":"more"}')`,
    )
    const [run] = await world.runs.pending(10)
    expect(run).toMatchObject({ type: 'resume_session', session_id, prompt: 'more' })
    const session = await world.sessionNow({ session_id })
    expect(session).toMatchObject({ status: 'pending', last_resumed_at: run?.created_at })
  })

  it('leaves nothing behind where it is there already', async () => {
    const { world, shell, insert } = await openWithShell()
    await insert()
    await shell.query(
      `INSERT INTO runqueue.runs (run_id, parameters) VALUES ('run_x', '{"prompt":"again"}')
       ON CONFLICT DO NOTHING`,
    )
    expect((await world.sessions.list({ limit: 10 })).sessions).toHaveLength(1)
    expect((await world.runNow({ run_id: 'run_x' })).prompt).toBe('hi')
  })

  const DEMANDS: [string, object | null][] = [
    ['{"tags":["b","a","b"]}', { tags: ['a', 'b'] }],
    ['{"hostname":"alpha"}', { hostname: 'alpha', tags: [] }],
    ['{"hostname":null,"executor_type":"","tags":["a"]}', { tags: ['a'] }],
    ['{"tags":[]}', null],
    ['{}', null],
    [`{"tags":["\u{1d4b3}","\uff5e"]}`, { tags: ['\uff5e', '\u{1d4b3}'] }],
  ]
  it.each(DEMANDS)(
    'with demands %s has canonical ones, and is claimed by them',
    async (demands, canonical) => {
      const { world, insert } = await openWithShell()
      await insert({ demands })
      expect((await world.runNow({ run_id: 'run_x' })).demands).toEqual(canonical)
      const tags = ['a', 'b', '\uff5e', '\u{1d4b3}', 'z']
      expect(await world.claim(await world.register({ hostname: 'alpha', tags }))).toHaveLength(1)
    },
  )

  it('is told to those who wait', async () => {
    const { world, insert } = await openWithShell()
    // So that no look comes of itself: it is told by its notification.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const heard = new Promise((resolve) => {
      onTestFinished(world.changes.subscribe(({ runs }) => resolve(runs)))
    })
    await world.runs.get('run_x')
    await insert({ demands: '{"hostname":"alpha"}' })
    expect(await heard).toContainEqual(
      expect.objectContaining({ run_id: 'run_x', demands: { hostname: 'alpha', tags: [] } }),
    )
  })

  const REFUSED: [string, Partial<Row>, RegExp][] = [
    ['an unknown type', { type: 'other' }, /^runs\.type is start_session or/],
    ['parameters that are no JSON', { parameters: 'hello' }, /type json/],
    ['parameters that are no object', { parameters: '["hello"]' }, /^runs\.parameters must be/],
    ['no prompt', { parameters: '{"promt":"hello"}' }, /^runs\.parameters must be .* a prompt/],
    ['a prompt that is empty', { parameters: '{"prompt":""}' }, /^runs\.parameters must be/],
    ['a prompt that is no text', { parameters: '{"prompt":[1]}' }, /^runs\.parameters must be/],
    ['demands that are no JSON', { demands: '{hostname' }, /type json/],
    ['demands that are no object', { demands: '["alpha"]' }, /^runs\.demands must be/],
    ['tags that are no list', { demands: '{"tags":"a"}' }, /^runs\.demands must be/],
    ['tags that are null', { demands: '{"tags":null}' }, /^runs\.demands must be/],
  ]
  it.each(REFUSED)('with %s is refused in words', async (_, facts, words) => {
    const { world, insert } = await openWithShell()
    await expect(insert(facts)).rejects.toThrow(words)
    expect(await world.runs.get('run_x')).toBeNull()
  })

  const REFUSED_VALUES: [string, string, string, RegExp][] = [
    ['a priority that is no number', 'priority', `'high'`, /type integer/],
    [
      'a priority beyond all bounds',
      'priority',
      '1000001',
      /^runs\.priority must be a whole number/,
    ],
    ['no attempt', 'max_attempts', '0', /^runs\.max_attempts must be a whole number from 1/],
    ['a delay below 0', 'retry_delay_seconds', '-1', /^runs\.retry_delay_seconds must be a number/],
    [
      'a time without zone',
      'available_at',
      `'2030-01-31 09:30:00'`,
      /available_at.* must be in UTC/,
    ],
    ['a day that no month has', 'timeout_at', `'2030-01-32T09:30:00.000Z'`, /must be in UTC/],
  ]
  it.each(REFUSED_VALUES)('with %s is refused in words', async (_, column, value, words) => {
    const { world, shell } = await openWithShell()
    const inserted = shell.query(
      `INSERT INTO runqueue.runs (parameters, ${column}) VALUES ('{"prompt":"hi"}', ${value})`,
    )
    await expect(inserted).rejects.toThrow(words)
    expect(await world.runs.pending(10)).toEqual([])
  })

  it('may say all that a request may', async () => {
    const { world, shell } = await openWithShell()
    await shell.query(
      `INSERT INTO runqueue.runs (parameters, priority, max_attempts, retry_delay_seconds, available_at)
       VALUES ('{"prompt":"hi"}', -5, 100, 1, to_char(
         now() AT TIME ZONE 'UTC' + interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`,
    )
    expect(await world.runs.pending(10)).toMatchObject([
      { priority: -5, max_attempts: 100, retry_delay_seconds: 1 },
    ])
    expect(await world.claim(await world.register())).toEqual([])
  })

  it('that resumes a session which is not there is refused in words', async () => {
    const { world, shell } = await openWithShell()
    await expect(
      shell.query(
        `INSERT INTO runqueue.runs (type, session_id, parameters)
         VALUES ('resume_session', 'ses_unknown', '{"prompt":"more"}')`,
      ),
    ).rejects.toThrow(/^runs\.session_id must be of a session that is there/)
    expect(await world.runs.pending(10)).toEqual([])
  })

  it.each([
    "UPDATE runqueue.runs SET status = 'done'",
    "UPDATE runqueue.runs SET execution_mode = 'later'",
    'UPDATE runqueue.runs SET status = NULL',
    "UPDATE runqueue.runs SET session_id = 'ses_unknown'",
    "UPDATE runqueue.sessions SET status = 'done'",
  ])('cannot be broken by %s', async (statement) => {
    const { world, shell, insert } = await openWithShell()
    await insert()
    await expect(shell.query(statement)).rejects.toThrow(/constraint/)
    expect((await world.runNow({ run_id: 'run_x' })).status).toBe('pending')
  })
})

describe('demands that are too long for an index', () => {
  const long = (letter: string, length: number) => letter.repeat(length)
  const manyTags = Array.from(
    { length: 100 },
    (_, i) => `tag-${String(i).padStart(3, '0')}-${long('x', 190)}`,
  )

  it('are met by who offers all of them, and by nobody else', async () => {
    const { add, register, claim } = await openWorld(openFixture)
    const demands = { hostname: long('h', 500), project_dir: long('d', 4096), tags: manyTags }
    const run = await add({ demands })
    const offer = { hostname: demands.hostname, project_dir: demands.project_dir }
    // The tag that is missing is one of those that the key leaves out.
    const lacking = await register({ ...offer, tags: manyTags.slice(0, -1) })
    expect(satisfies(lacking, run.demands)).toBe(false)
    expect(await claim(lacking)).toEqual([])
    const elsewhere = await register({ ...offer, project_dir: long('d', 4095), tags: manyTags })
    expect(await claim(elsewhere)).toEqual([])
    const able = await register({ ...offer, tags: [...manyTags, 'more'] })
    expect(await claim(able)).toMatchObject([{ run_id: run.run_id }])
  })
})

describe('a run changed by plain SQL', () => {
  const told = async ({ runs }: World, run_id: string) =>
    (await runs.events(run_id, { limit: 10 })).events.map(
      ({ to_status, cause, changed_by }) => `${to_status} ${cause} ${changed_by}`,
    )

  it('has a history that names no cause, and the service’s own changes as ever', async () => {
    const { world, shell, insert } = await openWithShell()
    await insert()
    const runner = await world.register()
    await world.claim(runner)
    await shell.query("UPDATE runqueue.runs SET status = 'pending', runner_id = NULL")
    await world.claim(runner)
    await shell.query("UPDATE runqueue.runs SET status = 'failed', error = 'by hand'")
    expect(await told(world, 'run_x')).toEqual([
      'pending null null',
      'claimed claimed runner',
      'pending null null',
      'claimed claimed runner',
      'failed null null',
    ])
  })

  it('takes its history along when it is deleted', async () => {
    const { world, shell } = await openWithShell()
    const { run } = await world.bring('completed')
    await world.bring('running')
    await shell.query('DELETE FROM runqueue.runs WHERE run_id = $1', [run.run_id])
    const count = async () => (await shell.query('SELECT FROM runqueue.run_events')).rowCount
    // It stays until the metrics have counted it.
    expect(await count()).toBe(7)
    await world.metrics.fold()
    expect(await count()).toBe(3)
    await shell.query('DELETE FROM runqueue.runs')
    expect(await count()).toBe(0)
  })
})
