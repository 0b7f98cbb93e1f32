/** Ids that the service draws and finds taken: it draws again, and whoever asked notices nothing. */
import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/queue/engine.ts'
import type { NewRun } from '../../src/queue/run.ts'
import { expectRefusal } from './support/api.ts'
import type { Added, Service, Setup } from './support/service.ts'

type Taken = Partial<Pick<NewRun, 'run_id' | 'session_id'>>

/** What is drawn turns out to be taken, as long as there is something in `taken`. */
function drawing(taken: Taken[]) {
  return (engine: Engine): Engine => ({
    ...engine,
    runs: {
      ...engine.runs,
      add: (run, ...more) => engine.runs.add({ ...run, ...taken.shift() }, ...more),
      addMany: ([first, ...others], ...more) =>
        engine.runs.addMany(first ? [...others, { ...first, ...taken.shift() }] : others, ...more),
      retry: (run_id, new_run_id, ...more) =>
        engine.runs.retry(run_id, taken.shift()?.run_id ?? new_run_id, ...more),
    },
  })
}

export function describeDrawnIds(setup: Setup): void {
  describe('ids that are taken', () => {
    async function start(): Promise<{ service: Service; taken: Taken[]; first: Added }> {
      const taken: Taken[] = []
      const service = await setup({ wrap: drawing(taken) })
      return { service, taken, first: await service.addRun() }
    }
    const BODY = { type: 'start_session', prompt: 'hello' }

    it('are drawn anew for a run, and for its session', async () => {
      const { service, taken, first } = await start()
      const { run_id, session_id } = first
      taken.push({ run_id }, { session_id })
      const added = await service.post<Added>('/runs', BODY)
      expect(added.status).toBe(201)
      expect(taken).toEqual([])
      expect(added.body.run_id).not.toBe(run_id)
      expect(added.body.session_id).not.toBe(session_id)
      expect(await service.runs()).toHaveLength(2)
    })

    it('are drawn anew for all of a batch', async () => {
      const { service, taken, first } = await start()
      taken.push({ run_id: first.run_id }, { session_id: first.session_id })
      const added = await service.post('/runs/batch', { runs: [BODY, BODY] })
      expect(added.status).toBe(201)
      expect(taken).toEqual([])
      expect(await service.runs()).toHaveLength(3)
    })

    it('are drawn anew for a retry', async () => {
      const { service, taken, first } = await start()
      await service.post(`/runs/${first.run_id}/stop`)
      taken.push({ run_id: first.run_id })
      expect((await service.post(`/runs/${first.run_id}/retry`)).status).toBe(201)
      expect(taken).toEqual([])
    })

    it('are an error where the client chose them', async () => {
      const { service, first } = await start()
      const { session_id } = first
      const again = await service.post('/runs', { ...BODY, session_id })
      expectRefusal(again, 409, 'session_exists', `Session '${session_id}' already exists`)
    })

    it('are an error when there is no end of them', async () => {
      const { service, taken, first } = await start()
      taken.push(...Array.from({ length: 10 }, () => ({ run_id: first.run_id })))
      expectRefusal(await service.post('/runs', BODY), 409, 'run_exists')
      expect(taken).toHaveLength(5)
      expect(await service.runs()).toHaveLength(1)
    })
  })
}
