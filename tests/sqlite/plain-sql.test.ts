/** Runs that come by plain SQL, from a shell or another program, obey the same rules. */
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Client } from '../../src/sqlite/driver.ts'
import { loadDriver } from '../../src/sqlite/driver.ts'
import { openWorld, type World } from '../conformance/world.ts'
import { openFixture } from './fixture.ts'

const INSERT = `INSERT INTO runs (run_id, session_id, type, parameters, demands)
  VALUES ($run_id, 'ses_x', $type, $parameters, $demands)`

interface Row {
  run_id: string
  type: string
  parameters: string
  demands: string | null
}

async function openShell(): Promise<{ world: World; client: Client; insert: Insert }> {
  const world = await openWorld(openFixture)
  const Driver = await loadDriver()
  const client = new Driver(world.fixture.opener.url.slice('file:'.length))
  onTestFinished(() => void client.close())
  client.exec(
    "INSERT INTO sessions (session_id, status, created_at, updated_at) VALUES ('ses_x', 'pending', '', '')",
  )
  const statement = client.prepare(INSERT)
  const usual = { type: 'start_session', parameters: '{"prompt":"hi"}', demands: null }
  const insert: Insert = (facts) => {
    statement.run({ run_id: 'run_x', ...usual, ...facts })
  }
  return { world, client, insert }
}

type Insert = (facts: Partial<Row>) => void

describe('a run inserted by plain SQL', () => {
  it('is a pending run like any other', async () => {
    const { world, insert } = await openShell()
    insert({})
    const run = await world.runNow({ run_id: 'run_x' })
    expect(run).toMatchObject({
      status: 'pending',
      prompt: 'hi',
      execution_mode: 'sync',
      priority: 0,
      attempt: 0,
      max_attempts: 1,
      demands: null,
    })
    expect(new Date(run.created_at).toISOString()).toBe(run.created_at)
    expect(Math.abs(Date.now() - Date.parse(run.created_at))).toBeLessThan(60_000)
    expect(await world.claim(await world.register())).toMatchObject([{ run_id: 'run_x' }])
  })

  it('needs parameters alone: it gets ids, and a session that is like any other', async () => {
    const { world, client } = await openShell()
    client.exec(
      `INSERT INTO runs (parameters, agent_name, project_dir)
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
    const { world, client } = await openShell()
    const { session_id } = (await world.bring('completed')).run
    client.exec(
      `INSERT INTO runs (type, session_id, parameters)
       VALUES ('resume_session', '${session_id}', '{"prompt":"more"}')`,
    )
    const [run] = await world.runs.pending(10)
    expect(run).toMatchObject({ type: 'resume_session', session_id, prompt: 'more' })
    const session = await world.sessionNow({ session_id })
    expect(session).toMatchObject({ status: 'pending', last_resumed_at: run?.created_at })
  })

  it('leaves nothing behind where it is there already', async () => {
    const { world, client, insert } = await openShell()
    insert({})
    client.exec(
      `INSERT OR IGNORE INTO runs (run_id, parameters) VALUES ('run_x', '{"prompt":"again"}')`,
    )
    expect((await world.sessions.list({ limit: 10 })).sessions).toHaveLength(1)
    expect((await world.runNow({ run_id: 'run_x' })).prompt).toBe('hi')
  })

  const DEMANDS: [string, object | null][] = [
    ['{"tags":["b","a","b"]}', { tags: ['a', 'b'] }],
    ['{"hostname":"alpha"}', { hostname: 'alpha', tags: [] }],
    ['{ "tags" : [ "a" ] , "hostname" : "alpha" }', { hostname: 'alpha', tags: ['a'] }],
    ['{"tags":["\\u0062","\\u0061"]}', { tags: ['a', 'b'] }],
    ['{"hostname":null,"executor_type":"","tags":["a"]}', { tags: ['a'] }],
    ['{"tags":[]}', null],
    ['{}', null],
    [`{"tags":["\u{1d4b3}","\uff5e"]}`, { tags: ['\uff5e', '\u{1d4b3}'] }],
  ]
  it.each(DEMANDS)(
    'with demands %s has canonical ones, and is claimed by them',
    async (demands, canonical) => {
      const { world, insert } = await openShell()
      insert({ demands })
      expect((await world.runNow({ run_id: 'run_x' })).demands).toEqual(canonical)
      const tags = ['a', 'b', '\uff5e', '\u{1d4b3}', 'z']
      expect(await world.claim(await world.register({ hostname: 'alpha', tags }))).toHaveLength(1)
    },
  )

  it('has the same demand text as one that came by the queue', async () => {
    const { world, client, insert } = await openShell()
    const { run_id } = await world.add({
      demands: { executor_type: 't', hostname: 'h', tags: ['b"', 'a\\', '\u0001\u007f\u2028'] },
    })
    const stored = client.prepare('SELECT demands, demand_key FROM runs WHERE run_id = ?')
    const demands =
      '{"tags":["\\u0001\u007f\\u2028","b\\u0022","a\\\\","a\\\\"],"hostname":"h","executor_type":"t"}'
    insert({ demands })
    expect(stored.get('run_x')).toEqual(stored.get(run_id))
  })

  it('is told to those who wait', async () => {
    const { world, insert } = await openShell()
    const heard = new Promise((resolve) => {
      onTestFinished(world.changes.subscribe(({ runs }) => resolve(runs)))
    })
    insert({ demands: '{"hostname":"alpha"}' })
    expect(await heard).toContainEqual(
      expect.objectContaining({ run_id: 'run_x', demands: { hostname: 'alpha', tags: [] } }),
    )
  })

  const REFUSED: [string, Partial<Row>, RegExp][] = [
    ['an unknown type', { type: 'other' }, /^runs\.type is start_session or/],
    ['parameters that are no JSON', { parameters: 'hello' }, /JSON/],
    ['parameters that are no object', { parameters: '["hello"]' }, /^runs\.parameters must be/],
    ['no prompt', { parameters: '{"promt":"hello"}' }, /^runs\.parameters must be .* a prompt/],
    ['a prompt that is empty', { parameters: '{"prompt":""}' }, /^runs\.parameters must be/],
    ['a prompt that is no text', { parameters: '{"prompt":[1]}' }, /^runs\.parameters must be/],
    ['demands that are no JSON', { demands: '{hostname' }, /JSON/],
    ['demands that are no object', { demands: '["alpha"]' }, /^runs\.demands must be/],
    ['tags that are no list', { demands: '{"tags":"a"}' }, /^runs\.demands must be/],
    ['tags that are null', { demands: '{"tags":null}' }, /^runs\.demands must be/],
  ]
  it.each(REFUSED)('with %s is refused in words', async (_, facts, words) => {
    const { world, insert } = await openShell()
    expect(() => insert(facts)).toThrow(words)
    expect(await world.runs.get('run_x')).toBeNull()
  })

  const REFUSED_VALUES: [string, string, string, RegExp][] = [
    [
      'a priority that is no number',
      'priority',
      `'high'`,
      /^runs\.priority must be a whole number/,
    ],
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
    ['a fraction of a priority', 'priority', '1.5', /^runs\.priority must be a whole number/],
    ['a delay that is no number', 'retry_delay_seconds', `'1m'`, /^runs\.retry_delay_seconds must/],
  ]
  it.each(REFUSED_VALUES)('with %s is refused in words', async (_, column, value, words) => {
    const { world, client } = await openShell()
    const insert = (value: string) =>
      client.exec(`INSERT INTO runs (parameters, ${column}) VALUES ('{"prompt":"hi"}', ${value})`)
    expect(() => insert(value)).toThrow(words)
    expect(await world.runs.pending(10)).toEqual([])
  })

  it('may say all that a request may', async () => {
    const { world, client } = await openShell()
    client.exec(
      `INSERT INTO runs (parameters, priority, max_attempts, retry_delay_seconds, available_at)
       VALUES ('{"prompt":"hi"}', '-5', 100, 1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 hour'))`,
    )
    expect(await world.runs.pending(10)).toMatchObject([
      { priority: -5, max_attempts: 100, retry_delay_seconds: 1 },
    ])
    expect(await world.claim(await world.register())).toEqual([])
  })

  it('that resumes a session which is not there is refused in words', async () => {
    const { world, client } = await openShell()
    client.pragma('foreign_keys = OFF')
    expect(() =>
      client.exec(
        `INSERT INTO runs (type, session_id, parameters)
         VALUES ('resume_session', 'ses_unknown', '{"prompt":"more"}')`,
      ),
    ).toThrow(/^runs\.session_id must be of a session that is there/)
    expect(await world.runs.pending(10)).toEqual([])
  })

  it.each([
    "UPDATE runs SET status = 'done'",
    "UPDATE runs SET execution_mode = 'later'",
    'UPDATE runs SET status = NULL',
    "UPDATE runs SET session_id = 'ses_unknown'",
    "UPDATE sessions SET status = 'done'",
  ])('cannot be broken by %s', async (statement) => {
    const { world, client, insert } = await openShell()
    insert({})
    client.pragma('foreign_keys = ON')
    expect(() => client.exec(statement)).toThrow(/constraint/)
    expect((await world.runNow({ run_id: 'run_x' })).status).toBe('pending')
  })
})

describe('a run changed by plain SQL', () => {
  const told = async ({ runs }: World, run_id: string) =>
    (await runs.events(run_id, { limit: 10 })).events.map(
      ({ to_status, cause, changed_by }) => `${to_status} ${cause} ${changed_by}`,
    )

  it('has a history that names no cause, and the service’s own changes as ever', async () => {
    const { world, client, insert } = await openShell()
    insert({})
    const runner = await world.register()
    await world.claim(runner)
    client.exec("UPDATE runs SET status = 'pending', runner_id = NULL WHERE run_id = 'run_x'")
    await world.claim(runner)
    client.exec("UPDATE runs SET status = 'failed', error = 'by hand' WHERE run_id = 'run_x'")
    expect(await told(world, 'run_x')).toEqual([
      'pending null null',
      'claimed claimed runner',
      'pending null null',
      'claimed claimed runner',
      'failed null null',
    ])
  })

  it('takes its history along when it is deleted', async () => {
    const { world, client } = await openShell()
    const runs = [await world.bring('completed'), await world.bring('running')]
    client.exec(`DELETE FROM runs WHERE run_id = '${runs[0]?.run.run_id}'`)
    const count = client.prepare('SELECT count(*) FROM run_events').pluck()
    // It stays until the metrics have counted it.
    expect(count.get()).toBe(7)
    await world.metrics.fold()
    expect(count.get()).toBe(3)
    client.exec('DELETE FROM runs')
    expect(count.get()).toBe(1)
    await world.add()
    await world.metrics.fold()
    expect(count.get()).toBe(1)
  })
})
