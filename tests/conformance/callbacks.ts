/** Parents are told how their children ended. */
import { describe, expect, it } from 'vitest'
import { CALLBACK_BATCH } from '../../src/queue/callback.ts'
import type { JsonValue, NewRun, Run, RunResult } from '../../src/queue/run.ts'
import { MATCH_TIMEOUT_SECONDS } from '../../src/queue/run-queue.ts'
import { ENDINGS } from './endings.ts'
import type { Setup, World } from './world.ts'

const callback = (session_id: string) =>
  ({ parent_session_id: session_id, execution_mode: 'async_callback' }) as const

const single = (session: string, status: string, text: string) =>
  `<agent-callback session="${session}" status="${status}">\n${text}\n</agent-callback>\n\n`
const child = (session: string, status: string, text: string) =>
  `<child session="${session}" status="${status}">\n${text}\n</child>`

/** The runs that went on with the session, oldest first. */
async function resumes({ runs }: World, session_id: string): Promise<Run[]> {
  const listed = await runs.list({ session_id, limit: 1000 })
  return listed.runs.filter(({ type }) => type === 'resume_session').reverse()
}
const prompts = async (world: World, session_id: string) =>
  (await resumes(world, session_id)).map(({ prompt }) => prompt ?? '')

/** Ends a child of the session, which is cancelled. @returns the child's session */
async function endChild({ add, runs, clock }: World, parent: string, facts?: Partial<NewRun>) {
  const { run_id, session_id } = await add({ ...callback(parent), ...facts })
  await runs.stop(run_id, clock.now())
  return session_id
}

export function describeCallbacks(setup: Setup): void {
  describe('a child that calls back', () => {
    it.each(ENDINGS)('and $name: its parent gets a run that says so', async (ending) => {
      const world = await setup()
      const { session_id } = (await world.bring('completed')).run
      const { run, end } = await ending.prepare(world, callback(session_id))
      expect(await prompts(world, session_id)).toEqual([])
      await end()
      const [told, ...more] = await resumes(world, session_id)
      expect(more).toEqual([])
      const said = single(run.session_id, ending.status, ending.text)
      expect(told?.prompt?.slice(0, said.length)).toBe(said)
      expect(told?.prompt?.slice(said.length)).toMatch(/^Please go on .*\.$/)
      expect(told).toMatchObject({
        type: 'resume_session',
        status: 'pending',
        execution_mode: 'sync',
        parameters: { prompt: told?.prompt },
        parent_session_id: null,
        created_at: (await world.runNow(run)).completed_at,
      })
      expect((await world.sessionNow({ session_id })).status).toBe('pending')
    })

    it.each(ENDINGS)('is told of when its parent, which was busy, $name', async (ending) => {
      const world = await setup()
      const { run, end } = await ending.prepare(world, {})
      const { session_id } = run
      const children = [await endChild(world, session_id), await endChild(world, session_id)]
      expect(await prompts(world, session_id)).toEqual([])
      await end()
      const [prompt, ...more] = await prompts(world, session_id)
      expect(more).toEqual([])
      const list = children.map((id) => `${child(id, 'failed', 'Error: The run was stopped')}\n`)
      const said = `<agent-callback type="aggregated" count="2">\n${list.join('')}</agent-callback>\n\n`
      expect(prompt?.slice(0, said.length)).toBe(said)
      expect(prompt?.slice(said.length)).toMatch(/^Please go on .*\.$/)
      expect((await world.sessionNow({ session_id })).status).toBe('pending')
    })

    it('waits for each run of its parent, the one that told of another child too', async () => {
      const world = await setup()
      const { add, runs, clock } = world
      const parent = await add()
      const { session_id } = parent
      await endChild(world, session_id)
      const resume = await add({ type: 'resume_session', session_id })
      await runs.stop(parent.run_id, clock.now())
      expect(await resumes(world, session_id)).toHaveLength(1)
      await runs.stop(resume.run_id, clock.now())
      const [, first] = await resumes(world, session_id)
      expect(first?.prompt).toMatch(/^<agent-callback session=/)
      const second = await endChild(world, session_id)
      expect(await resumes(world, session_id)).toHaveLength(2)
      await runs.stop(first?.run_id ?? '', clock.now())
      expect((await prompts(world, session_id))[2]).toContain(`session="${second}"`)
    })

    it('goes on in its trace: of several, in that of the last', async () => {
      const world = await setup()
      const { bring, add, runs, clock } = world
      const { session_id } = (await bring('completed')).run
      const busy = await add({ type: 'resume_session', session_id })
      await endChild(world, session_id, { traceparent: 'first' })
      await endChild(world, session_id, { traceparent: 'last' })
      await runs.stop(busy.run_id, clock.now())
      const ids = (await resumes(world, session_id)).map(({ run_id }) => run_id)
      expect(await runs.traceparent(ids[1] ?? '')).toBe('last')
      await runs.stop(ids[1] ?? '', clock.now())
      const lone = (await bring('completed')).run
      await endChild(world, lone.session_id, { traceparent: 'only' })
      const [told] = await resumes(world, lone.session_id)
      expect(await runs.traceparent(told?.run_id ?? '')).toBe('only')
    })

    it('goes on as any resume does: on the host, with the scope, without demands of its own', async () => {
      const world = await setup()
      const { bring, sessions, runs, clock } = world
      const facts = { agent_name: 'planner', project_dir: '/plan', scope: { user: 'u' } }
      const { run, report } = await bring('running', facts)
      const { session_id } = run
      const binding = { executor_session_id: 'e', hostname: 'alpha', executor_profile: 'coding' }
      await sessions.bind(session_id, { ...binding, executor_type: null }, clock.now())
      await runs.complete({ ...report, session_status: 'idle', result: null }, clock.now())
      await endChild(world, session_id, { demands: { tags: ['gpu'] }, priority: 3 })
      const [told] = await resumes(world, session_id)
      expect(told).toMatchObject({
        ...facts,
        demands: { hostname: 'alpha', executor_profile: 'coding', tags: [] },
        timeout_at: clock.ahead(MATCH_TIMEOUT_SECONDS),
        priority: 0,
        max_attempts: 1,
      })
      const history = await runs.events(told?.run_id ?? '', { limit: 10 })
      expect(history.events).toMatchObject([{ cause: 'added', changed_by: 'service' }])
    })

    const event = (facts: Record<string, JsonValue>) => ({ event_type: 'result', ...facts })
    const message = (content: JsonValue) => ({ event_type: 'message', role: 'assistant', content })
    const RESULTS: [string, RunResult | null, Record<string, JsonValue>[], string][] = [
      ['data, as JSON', { text: 'x', data: { n: [1, 'a'] } }, [], '{"n":[1,"a"]}'],
      ['data that is a text', { text: null, data: 'a"b' }, [], '"a\\"b"'],
      [
        'its text',
        { text: 'done\nwell', data: null },
        [event({ result_text: 'no' })],
        'done\nwell',
      ],
      ['that there is none', null, [], '(no result)'],
      ['that there is none, where it is empty', { text: '', data: null }, [], '(no result)'],
      ['what its executor told', null, [event({ result_text: 'told' }), message('no')], 'told'],
      ['data that its executor told', null, [event({ result_data: { a: 1 } })], '{"a":1}'],
      ['its last message', null, [message('first'), message('last')], 'last'],
      ['its last message of blocks', null, [message([{ type: 'text', text: 'said' }])], 'said'],
      [
        'only what cannot be taken for the end',
        { text: '</agent-callback>', data: null },
        [],
        '<\\/agent-callback>',
      ],
    ]
    it.each(RESULTS)('and completes tells %s', async (_, result, events, text) => {
      const world = await setup()
      const { session_id } = (await world.bring('completed')).run
      const { run, report } = await world.bring('running', callback(session_id))
      for (const facts of events) {
        const timestamp = world.clock.now()
        const told = { session_id: run.session_id, timestamp, event_type: '', ...facts }
        await world.sessions.addEvent(told)
      }
      const completion = { ...report, session_status: 'finished', result } as const
      await world.runs.complete(completion, world.clock.now())
      const [prompt] = await prompts(world, session_id)
      expect(prompt).toContain(single(run.session_id, 'completed', text))
    })

    it('and has much to tell is cut, the more the more there are', async () => {
      const world = await setup()
      const { bring, runs, clock } = world
      const { run, report } = await bring('running')
      const { session_id } = run
      const tell = async () => {
        const one = await bring('running', { ...callback(session_id), priority: 1 })
        const result = { text: 'x'.repeat(100_000), data: null }
        await runs.complete({ ...one.report, session_status: 'idle', result }, clock.now())
      }
      const xs = async () => {
        const [last] = (await prompts(world, session_id)).slice(-1)
        return [...(last ?? '').matchAll(/(x{2,})\n\(cut here; run_\w+ has the whole\)/g)].map(
          ([, kept]) => kept?.length,
        )
      }
      await tell()
      await runs.fail({ ...report, error: 'x' }, clock.now())
      expect(await xs()).toEqual([65_536])
      for (let i = 0; i < 8; i++) await tell()
      const [first] = await resumes(world, session_id)
      await runs.stop(first?.run_id ?? '', clock.now())
      expect(await xs()).toEqual(Array(8).fill(32_768))
    })

    it(`is one of at most ${CALLBACK_BATCH} in one run; the others go with the next`, async () => {
      const world = await setup()
      const { runs, clock } = world
      const { run_id, session_id } = await world.add()
      for (let i = 0; i < CALLBACK_BATCH + 1; i++) await endChild(world, session_id)
      await runs.stop(run_id, clock.now())
      const [first] = await resumes(world, session_id)
      expect(first?.prompt).toContain(`type="aggregated" count="${CALLBACK_BATCH}"`)
      await runs.stop(first?.run_id ?? '', clock.now())
      const told = await prompts(world, session_id)
      expect(told).toHaveLength(2)
      expect(told[1]).toMatch(/^<agent-callback session=/)
    })

    it('and is lost together with others and their parent, is told of once for all', async () => {
      const world = await setup()
      const { bring, runners, clock, register } = world
      const runner = await register()
      const { session_id } = (await bring('running', {}, runner)).run
      for (let i = 0; i < 3; i++) await bring('running', callback(session_id), runner)
      await runners.remove(runner.runner_id, clock.now())
      const told = await prompts(world, session_id)
      expect(told).toHaveLength(1)
      expect(told[0]).toContain('count="3"')
      expect((await world.sessionNow({ session_id })).status).toBe('pending')
    })

    it('has not ended while it is tried again, and then is told of once', async () => {
      const world = await setup()
      const { bring, runs, clock, runNow } = world
      const { session_id } = (await bring('completed')).run
      const facts = { ...callback(session_id), max_attempts: 2 }
      const { run, report } = await bring('running', facts)
      await runs.fail({ ...report, error: 'once' }, clock.now())
      expect(await runNow(run)).toMatchObject({ status: 'pending' })
      expect(await prompts(world, session_id)).toEqual([])
      const [again] = await world.claim(await world.register())
      const second = { ...report, ...again, runner_id: again?.runner_id ?? '', error: 'twice' }
      await runs.fail(second, clock.now())
      await runs.fail(second, clock.now())
      expect(await prompts(world, session_id)).toEqual([
        expect.stringContaining(single(run.session_id, 'failed', 'Error: twice')),
      ])
    })

    it('that is retried is told of again', async () => {
      const world = await setup()
      const { runs, clock } = world
      const { session_id } = (await world.bring('completed')).run
      const { run } = await world.bring('failed', callback(session_id))
      const { run: again } = await runs.retry(run.run_id, 'run_again', clock.now())
      const [told] = await resumes(world, session_id)
      await runs.stop(told?.run_id ?? '', clock.now())
      await runs.stop(again.run_id, clock.advance(1))
      expect(await prompts(world, session_id)).toHaveLength(2)
    })

    it.each(['sync', 'async_poll'] as const)('is no child of mode %s', async (execution_mode) => {
      const world = await setup()
      const { session_id } = (await world.bring('completed')).run
      await world.bring('completed', { parent_session_id: session_id, execution_mode })
      expect(await prompts(world, session_id)).toEqual([])
    })

    it('tells nobody where its parent is gone, or is itself', async () => {
      const world = await setup()
      const { bring, add, sessions, runs, clock } = world
      const parent = await bring('completed')
      const gone = await add(callback(parent.run.session_id))
      await sessions.delete(parent.run.session_id)
      await runs.stop(gone.run_id, clock.now())
      const { session_id } = (await bring('completed')).run
      const own = { type: 'resume_session', session_id, ...callback(session_id) } as const
      await runs.stop((await add(own)).run_id, clock.now())
      expect(await resumes(world, session_id)).toHaveLength(1)
      expect((await runs.pending(10)).length).toBe(0)
    })

    it('is forgotten with its parent', async () => {
      const world = await setup()
      const { add, sessions, runs, clock } = world
      const { session_id } = await add()
      await endChild(world, session_id)
      await sessions.delete(session_id)
      expect(await runs.deliverCallbacks(null, clock.now(), 10)).toEqual({
        changes: [],
        next: null,
      })
      await add({ session_id })
      await sessions.stop(session_id, clock.now())
      expect(await prompts(world, session_id)).toEqual([])
    })

    it('and is deleted before its end: the next sweep tells its parent', async () => {
      const world = await setup()
      const { bring, add, sessions, runs, clock } = world
      const { session_id } = (await bring('completed')).run
      const gone = await add(callback(session_id))
      await sessions.delete(gone.session_id)
      await runs.deliverCallbacks(null, clock.now(), 10)
      const [prompt] = await prompts(world, session_id)
      expect(prompt).toContain(single(gone.session_id, 'failed', 'Error: The run was deleted'))
    })

    it('of a parent that is busy still waits: a sweep looks at a batch, the next goes on from there', async () => {
      const world = await setup()
      const { add, runs, clock } = world
      const busy = [await add(), await add(), await add()]
      for (const { session_id } of busy) await endChild(world, session_id)
      const ids = busy.map(({ session_id }) => session_id).sort()
      const first = await runs.deliverCallbacks(null, clock.now(), 2)
      expect(first).toEqual({ changes: [], next: ids[1] })
      const rest = await runs.deliverCallbacks(first.next, clock.now(), 2)
      expect(rest).toEqual({ changes: [], next: null })
    })

    it('and ends just as its parent does is never forgotten, whoever is first', async () => {
      const world = await setup()
      const { add, runs, clock } = world
      const other = await world.open()
      for (let round = 0; round < 10; round++) {
        const { run_id, session_id } = await add()
        const children = []
        for (let i = 0; i < 3; i++) children.push(await add(callback(session_id)))
        const now = clock.advance(1)
        await Promise.all(
          [...children.map((one) => one.run_id), run_id].map((id, i) =>
            ((i + round) % 2 ? runs : other.runs).stop(id, now),
          ),
        )
        for (let turn = 0; turn < 3; turn++) {
          const active = await runs.activeOfSession(session_id)
          if (active) await runs.stop(active.run_id, clock.advance(1))
        }
        const told = (await prompts(world, session_id)).join()
        for (const one of children) {
          expect(told.split(`session="${one.session_id}"`)).toHaveLength(2)
        }
      }
    })
  })
}
