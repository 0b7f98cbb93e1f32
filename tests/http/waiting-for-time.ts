/** A poll that waits, and runs that wait for their time. */
import { expect, test } from 'vitest'
import type { ClaimedRunView } from '../../src/http/views.ts'
import type { Engine } from '../../src/queue/engine.ts'
import type { Setup } from './support/service.ts'

/** Counts how often polls look. */
function counting() {
  const counts = { looks: 0 }
  const wrap = ({ runs, ...engine }: Engine): Engine => ({
    ...engine,
    runs: {
      ...runs,
      poll: (...args) => {
        counts.looks += 1
        return runs.poll(...args)
      },
    },
  })
  return { counts, wrap }
}

export function describeWaitingForTime(setup: Setup): void {
  test('a poll is not woken for a run that waits for its time; it is when that has come', async () => {
    const { counts, wrap } = counting()
    const service = await setup({ config: { pollTimeoutSeconds: 7 }, wrap })
    const waitingOn = async (hostname: string) => {
      const runner_id = await service.register({ hostname })
      return service.waiting(() => service.poll<{ run: ClaimedRunView }>(runner_id))
    }
    const [first, second] = [await waitingOn('a'), await waitingOn('b')]
    const { looks } = counts
    const { run_id } = await service.addRun({ delay_seconds: 10 })
    // Told after it: when this one is taken, that one was passed over.
    const told = await service.addRun({ additional_demands: { hostname: 'b' } })
    expect((await second.answer).body.run.run_id).toBe(told.run_id)
    expect(counts.looks - looks).toBe(1)
    await service.engine.runs.makeAvailable(service.clock.advance(10), 10)
    expect((await first.answer).body.run.run_id).toBe(run_id)
  })
}
