/**
 * /agents: runners of the older generations fetch the blueprint of each run's agent and fail the
 * run when there is none. Blueprints are not this service's business: every name is one, and empty.
 */
import { Hono } from 'hono'
import { pathId } from './body.ts'
import type { Env } from './deps.ts'

export function agentRoutes(): Hono<Env> {
  const app = new Hono<Env>()
  app.get('/', (c) => c.json([]))
  app.get('/:name', (c) => c.json({ name: pathId(c, 'name'), description: '', status: 'active' }))
  return app
}
