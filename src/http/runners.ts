/** /runners: the registry, for people and programs that look after it. */
import { Hono } from 'hono'
import { LIST_LIMIT } from '../queue/run-queue.ts'
import { RUNNERS } from './api/runners.ts'
import { pathId, readQuery } from './body.ts'
import { type Deps, type Env, termsOf } from './deps.ts'
import { tell, tellChanges } from './requests.ts'
import { runnerView } from './views.ts'

export function runnersRoutes(deps: Deps): Hono<Env> {
  const { engine, config, now, log } = deps
  const app = new Hono<Env>()

  app.get('/', async (c) => {
    const at = now()
    const runners = await engine.runners.list(LIST_LIMIT)
    return c.json({
      runners: runners.map((runner) => runnerView(runner, at, config.staleThresholdSeconds)),
    })
  })

  app.get('/:runner_id/explain', async (c) => {
    const runner_id = pathId(c, 'runner_id')
    return c.json(await engine.insight.explainRunner(runner_id, termsOf(deps), now()))
  })

  app.delete('/:runner_id', async (c) => {
    const runner_id = pathId(c, 'runner_id')
    const { self } = readQuery(c, RUNNERS['DELETE /runners/:runner_id'].query)
    if (self === 'true') {
      const changes = await engine.runners.remove(runner_id, now(), c.get('caller'))
      tell(c, log, 'runner removed', { runner_id })
      tellChanges(c, log, changes)
      return c.json({ ok: true, message: 'Runner deregistered', initiated_by: 'self' })
    }
    await engine.runners.deregister(runner_id, now())
    tell(c, log, 'runner marked for removal', { runner_id })
    return c.json({
      ok: true,
      message: 'Runner marked for deregistration',
      initiated_by: 'external',
    })
  })

  return app
}
