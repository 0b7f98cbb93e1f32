import { test } from 'vitest'
import { openFixture } from '../sqlite/fixture.ts'
import { setupOf } from './support/service.ts'
const setup = setupOf(openFixture)
for (const which of ['poll', 'wait', 'both']) test(which, async () => {
  const service = await setup({ config: { pollTimeoutSeconds: 30 } })
  const runner_id = await service.register()
  const { run_id } = await service.addRun({ additional_demands: { hostname: 'nobody' } })
  const leaving = new AbortController()
  const { signal } = leaving
  const ps: Promise<unknown>[] = []
  if (which !== 'wait') ps.push(service.poll(runner_id, { signal }).catch(() => {}))
  if (which !== 'poll') ps.push(service.get(`/runs/${run_id}?wait=30`, { signal }).catch(() => {}))
  await new Promise((r) => setTimeout(r, 200))
  leaving.abort()
  await Promise.all(ps)
  await new Promise((r) => setTimeout(r, 50))
  const count = () => new Promise((r) => service.server.getConnections((_, n) => r(n)))
  console.log(which, 'connections', await count())
  const t = performance.now()
  await service.close()
  console.log(which, 'close took', performance.now() - t)
})
