/** Polls that wait: who is woken by what, and who is not. */
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import type { ClaimedRunView } from '../../src/http/views.ts'
import type { Engine, News } from '../../src/queue/engine.ts'
import { aNewRun } from '../support/factories.ts'
import type { Answer } from './support/api.ts'
import type { Service, Setup } from './support/service.ts'

/** Shorter than the slow look (8 to 12 s) behind the change signal: who was woken, was by a signal. */
const PROMPTLY_MS = 5_000
const WAITING = { config: { pollTimeoutSeconds: 30 } }

type RunAnswer = Answer<{ run: ClaimedRunView }>

async function promptly<T>(awaited: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(new Error('not woken')), PROMPTLY_MS)
    const stop = () => clearTimeout(timer)
    awaited.then(stop, stop)
  })
  return await Promise.race([awaited, late])
}

/** Counts what polls ask of the engine: claims, and how many listen to its changes. */
function counting() {
  const counts = { claims: 0, subscriptions: 0 }
  const wrap = ({ runs, changes, ...engine }: Engine): Engine => ({
    ...engine,
    runs: {
      ...runs,
      poll: (...args) => {
        counts.claims += 1
        return runs.poll(...args)
      },
    },
    changes: {
      subscribe(listener) {
        counts.subscriptions += 1
        const unsubscribe = changes.subscribe(listener)
        return () => {
          counts.subscriptions -= 1
          unsubscribe()
        }
      },
    },
  })
  return { counts, wrap }
}

/** Holds news back until there is some of a new run and some for a runner, and tells both at once. */
function together() {
  let held: News | null = null
  let listener: (news: News) => void = () => {}
  let heardBoth = () => {}
  const both = new Promise<void>((resolve) => {
    heardBoth = resolve
  })
  const wrap = ({ changes, ...engine }: Engine): Engine => ({
    ...engine,
    changes: {
      subscribe(tell) {
        listener = tell
        return changes.subscribe((news) => {
          if (!held) return tell(news)
          held.runs.push(...news.runs)
          held.runner_ids.push(...news.runner_ids)
          const isNew = held.runs.some(({ status }) => status === 'pending')
          if (isNew && held.runner_ids.length > 0) heardBoth()
        })
      },
    },
  })
  return {
    wrap,
    hold() {
      held = { runs: [], runner_ids: [], sessions: false }
    },
    async tellWhenBoth() {
      await promptly(both)
      if (held) listener(held)
      held = null
    },
  }
}

/** Polls of new runners on hosts of their own, all waiting. */
async function waitingRunners(service: Service, names: string[], facts = {}, other = service) {
  const runners = await Promise.all(
    names.map((hostname) => service.register({ ...facts, hostname })),
  )
  const polls: Promise<RunAnswer>[] = []
  // One after the other, so that the first has waited longest.
  for (const runner_id of runners) {
    const { answer } = await other.waiting(() => other.poll<RunAnswer['body']>(runner_id))
    polls.push(answer)
  }
  return { runners, polls }
}

export function describeWaiting(setup: Setup): void {
  describe('a poll that waits', () => {
    test('gets a run that is added at its own server', async () => {
      const service = await setup(WAITING)
      const { polls } = await waitingRunners(service, ['a'])
      const { run_id } = await service.addRun()
      expect((await promptly(Promise.all(polls)))[0]?.body.run.run_id).toBe(run_id)
    })

    test('gets a run that another connection adds', async () => {
      const service = await setup(WAITING)
      const other = await service.another()
      const { polls } = await waitingRunners(service, ['a'])
      const { run } = await other.engine.runs.add(aNewRun(), service.clock.now())
      expect((await promptly(Promise.all(polls)))[0]?.body.run.run_id).toBe(run.run_id)
    })

    test('gets a run that becomes claimable: released, retried, with other demands', async () => {
      const service = await setup(WAITING)
      const { clock, engine } = service
      const held = await service.hold()
      const { polls } = await waitingRunners(service, ['a'])
      await engine.runs.releaseUnstarted(clock.now(), clock.now(), 10)
      expect((await promptly(Promise.all(polls)))[0]?.body.run.run_id).toBe(held.run.run_id)

      const runner_id = await service.register({ hostname: 'b' })
      const { run_id } = await service.addRun({ additional_demands: { hostname: 'nobody' } })
      const { answer: polling } = await service.waiting(() =>
        service.poll<RunAnswer['body']>(runner_id),
      )
      await engine.runs.setDemands(run_id, { hostname: 'b', tags: [] }, 60, clock.now())
      expect((await promptly(polling)).body.run.run_id).toBe(run_id)

      const stopped = await service.begin({}, runner_id)
      await service.report('stopped', stopped)
      const { answer: again } = await service.waiting(() =>
        service.poll<RunAnswer['body']>(runner_id),
      )
      await service.post(`/runs/${stopped.run.run_id}/retry`)
      expect((await promptly(again)).body.run.session_id).toBe(stopped.run.session_id)
    })

    test('claims wait, too, and take what comes at once together', async () => {
      const service = await setup()
      const runner_id = await service.register()
      const { answer: claiming } = await service.waiting(() =>
        service.claim(runner_id, { limit: 5, wait_seconds: 30 }),
      )
      const runs = Array.from({ length: 3 }, () => ({ type: 'start_session', prompt: 'x' }))
      await service.post('/runs/batch', { runs })
      expect((await promptly(claiming)).runs).toHaveLength(3)
    })

    test('is answered at once when the server leaves', async () => {
      const service = await setup(WAITING)
      const { runners, polls } = await waitingRunners(service, ['a', 'b'])
      const { answer: claiming } = await service.waiting(() =>
        service.claim(runners[0] ?? '', { wait_seconds: 30 }),
      )
      service.leave()
      const answers = await promptly(Promise.all(polls))
      for (const { status, text } of answers)
        expect({ status, text }).toEqual({ status: 204, text: '' })
      expect(await promptly(claiming)).toMatchObject({ runs: [], deregistered: false })
    })

    test('50 of them and 50 runs, at two servers: each run to exactly one', async () => {
      const service = await setup(WAITING)
      const other = await service.another(WAITING)
      const names = (letter: string) => Array.from({ length: 25 }, (_, n) => `${letter}${n}`)
      const here = await waitingRunners(service, names('a'))
      const there = await waitingRunners(service, names('b'), {}, other)
      const runs = Array.from({ length: 50 }, () => ({ type: 'start_session', prompt: 'x' }))
      const added = await service.post<{ runs: { run_id: string }[] }>('/runs/batch', { runs })
      const answers = await promptly(Promise.all([...here.polls, ...there.polls]))
      const taken = answers.map(({ body }) => body.run.run_id)
      expect(taken.sort()).toEqual(added.body.runs.map(({ run_id }) => run_id).sort())
      const owners = (await service.runs('status=claimed')).map(({ runner_id }) => runner_id)
      expect(new Set(owners).size).toBe(50)
    })

    test('50 of them and runs that come one by one', async () => {
      const service = await setup(WAITING)
      const names = Array.from({ length: 50 }, (_, n) => `host-${n}`)
      const { polls } = await waitingRunners(service, names)
      const added: string[] = []
      for (const _ of names) added.push((await service.addRun()).run_id)
      const answers = await promptly(Promise.all(polls))
      expect(answers.map(({ body }) => body.run.run_id).sort()).toEqual(added.sort())
    })
  })

  describe('who is woken', () => {
    test('one, the one that waits longest, for one run', async () => {
      const { counts, wrap } = counting()
      const service = await setup({ ...WAITING, wrap })
      const { runners, polls } = await waitingRunners(service, ['a', 'b', 'c'])
      const before = counts.claims
      await service.addRun()
      const [first] = await promptly(Promise.all([polls[0]]))
      expect(first?.body.run.runner_id).toBe(runners[0])
      expect(counts.claims - before).toBe(1)
    })

    test('nobody, for a run that nobody can take', async () => {
      const { counts, wrap } = counting()
      const service = await setup({ ...WAITING, wrap })
      const plain = await waitingRunners(service, ['a', 'b'])
      const before = counts.claims
      for (const additional_demands of [
        ...[{ hostname: 'c' }, { tags: ['gpu'] }, { project_dir: '/elsewhere' }],
        ...[{ executor_profile: 'research' }, { executor_type: 'autonomous' }],
      ]) {
        await service.addRun({ additional_demands })
      }
      // The proof that their news has been heard: a later run has woken somebody.
      const { run_id } = await service.addRun()
      expect((await promptly(plain.polls[0] ?? Promise.reject())).body.run.run_id).toBe(run_id)
      expect(counts.claims - before).toBe(1)
    })

    test('the one that can take it, though others wait longer', async () => {
      const { counts, wrap } = counting()
      const service = await setup({ ...WAITING, wrap })
      await waitingRunners(service, ['a', 'b'])
      const runner_id = await service.register({ hostname: 'c', tags: ['gpu'] })
      const { answer: polling } = await service.waiting(() =>
        service.poll<RunAnswer['body']>(runner_id),
      )
      const before = counts.claims
      const { run_id } = await service.addRun({ additional_demands: { tags: ['gpu'] } })
      expect((await promptly(polling)).body.run.run_id).toBe(run_id)
      expect(counts.claims - before).toBe(1)
    })

    test('nobody by runs that start, end or are stopped elsewhere', async () => {
      const { counts, wrap } = counting()
      const service = await setup({ ...WAITING, wrap })
      const held = await service.hold()
      const { polls } = await waitingRunners(service, ['a'])
      const before = counts.claims
      await service.report('started', held)
      await service.post(`/runs/${held.run.run_id}/stop`)
      await service.report('stopped', held)
      await service.addRun()
      await promptly(Promise.all(polls))
      expect(counts.claims - before).toBe(1)
    })

    test('not one that takes no runs: limit 0 waits for stops only', async () => {
      const service = await setup(WAITING)
      const held = await service.begin()
      const { answer: stops } = await service.waiting(() =>
        service.claim(held.runner_id, { limit: 0, wait_seconds: 30 }),
      )
      const { answer: runs } = await service.waiting(() =>
        service.claim(held.runner_id, { wait_seconds: 30 }),
      )
      const { run_id } = await service.addRun()
      expect((await promptly(runs)).runs).toMatchObject([{ run_id }])
      await service.post(`/runs/${held.run.run_id}/stop`)
      expect(await promptly(stops)).toMatchObject({ runs: [], stop_runs: [held.run.run_id] })
    })

    test('the next one, if the first has something else to hear', async () => {
      const news = together()
      const service = await setup({ ...WAITING, wrap: news.wrap })
      const held = await service.begin()
      const { answer: first } = await service.waiting(() => service.poll(held.runner_id))
      const other = await service.register({ hostname: 'b' })
      const { answer: second } = await service.waiting(() => service.poll<RunAnswer['body']>(other))
      const { engine, clock } = service
      news.hold()
      const { run } = await engine.runs.add(aNewRun(), clock.now())
      await engine.runs.stop(held.run.run_id, clock.now())
      await news.tellWhenBoth()
      expect((await promptly(first)).body).toHaveProperty('stop_runs')
      expect((await promptly(second)).body.run.run_id).toBe(run.run_id)
    })

    test('the next one, if the first was offered two and takes one', async () => {
      const service = await setup(WAITING)
      const { engine, clock } = service
      const { polls } = await waitingRunners(service, ['a'], { tags: ['gpu'] })
      const demands = { tags: ['gpu'] }
      const added = engine.runs.addMany([aNewRun({ demands }), aNewRun({ demands })], clock.now())
      const late = service.poll<RunAnswer['body']>(
        await service.register({ hostname: 'b', tags: ['gpu'] }),
      )
      const [first, second] = await promptly(Promise.all([polls[0], late]))
      expect([first?.body.run.run_id, second?.body.run.run_id].sort()).toEqual(
        (await added).map(({ run }) => run.run_id).sort(),
      )
    })
  })

  describe('the watching', () => {
    test('begins with the first who waits and ends with the last', async () => {
      const { counts, wrap } = counting()
      const service = await setup({ ...WAITING, wrap })
      const { runners, polls } = await waitingRunners(service, ['a', 'b', 'c'])
      expect(counts.subscriptions).toBe(1)
      for (const _ of polls) await service.addRun()
      const answers = await promptly(Promise.all(polls))
      expect(counts.subscriptions).toBe(0)
      const { run_id } = answers[0]?.body.run ?? { run_id: '' }
      const waiting = service.get(`/runs/${run_id}?wait=30`)
      await expect.poll(() => counts.subscriptions).toBe(1)
      await service.post(`/runner/runs/${run_id}/completed`, { runner_id: runners[0] })
      await service.report('completed', {
        ...{ runner_id: answers[0]?.body.run.runner_id ?? '' },
        run: answers[0]?.body.run as ClaimedRunView,
      })
      await promptly(waiting)
      expect(counts.subscriptions).toBe(0)
    })

    test('ends also with those whose client goes away, or whose time is up', async () => {
      const { counts, wrap } = counting()
      const service = await setup({ ...WAITING, wrap })
      const runner_id = await service.register()
      const { run_id } = await service.addRun({ additional_demands: { hostname: 'nobody' } })
      await service.claim(runner_id, { wait_seconds: 0.01 })
      await service.get(`/runs/${run_id}?wait=0.01`)
      expect(counts.subscriptions).toBe(0)
      const leaving = new AbortController()
      const { signal } = leaving
      const polling = service.poll(runner_id, { signal }).catch((error: Error) => error.name)
      const waiting = service
        .get(`/runs/${run_id}?wait=30`, { signal })
        .catch((error: Error) => error.name)
      await expect.poll(() => counts.subscriptions).toBe(2)
      leaving.abort()
      expect(await Promise.all([polling, waiting])).toEqual(['AbortError', 'AbortError'])
      await expect.poll(() => counts.subscriptions).toBe(0)
    })

    test('leaves nothing behind in what lasts as long as the server', async () => {
      const combined = vi.spyOn(AbortSignal, 'any')
      const service = await setup()
      const runner_id = await service.register()
      const { run_id } = await service.addRun({ additional_demands: { hostname: 'nobody' } })
      const listening = vi.spyOn(service.closing, 'addEventListener')
      for (let n = 0; n < 5; n += 1) {
        await service.poll(runner_id)
        await service.get(`/runs/${run_id}?wait=0.01`)
      }
      expect(listening).not.toHaveBeenCalled()
      const lasting = combined.mock.calls.filter(([signals]) =>
        [...signals].includes(service.closing),
      )
      expect(lasting).toEqual([])
      combined.mockRestore()
    })

    test('a signal that is lost costs seconds, not the run', async () => {
      let asked = 0
      const counted =
        <Given extends unknown[], Answer>(ask: (...given: Given) => Promise<Answer>) =>
        (...given: Given) => {
          asked += 1
          return ask(...given).finally(() => {
            asked -= 1
          })
        }
      const deaf = ({ runs, ...engine }: Engine): Engine => ({
        ...engine,
        runs: { ...runs, poll: counted(runs.poll), get: counted(runs.get) },
        changes: { subscribe: () => () => {} },
      })
      const service = await setup({ ...WAITING, wrap: deaf })
      const runner_id = await service.register()
      const { run_id } = await service.addRun({ additional_demands: { hostname: 'nobody' } })
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      try {
        const polling = service.app.request(`/runner/runs?runner_id=${runner_id}`)
        const ending = service.app.request(`/runs/${run_id}?wait=30`)
        while (vi.getTimerCount() < 3) await turn()
        const { engine, clock } = service
        await engine.runs.stop(run_id, clock.now())
        const { run } = await engine.runs.add(aNewRun(), clock.now())
        for (let second = 0; second < 30; second += 1) {
          vi.advanceTimersByTime(1000)
          // What was asked of the database is answered meanwhile, however long that takes.
          do await turn()
          while (asked > 0)
        }
        expect(await (await polling).json()).toMatchObject({ run: { run_id: run.run_id } })
        expect(await (await ending).json()).toMatchObject({ run_id, status: 'stopped' })
      } finally {
        vi.useRealTimers()
      }
    })
  })
}
