/** What the API says of itself. It is the same as long as the process lives, and made when asked for. */
import { Hono } from 'hono'
import { version } from '../version.ts'
import type { Env } from './deps.ts'

export function docsRoutes(): Hono<Env> {
  const app = new Hono<Env>()
  let document: Promise<string> | undefined

  app.get('/openapi.json', async (c) => {
    document ??= writeDocument()
    return c.body(await document, 200, { 'Content-Type': 'application/json' })
  })

  return app
}

/** Servers that nobody asks do not load what writes it. */
async function writeDocument(): Promise<string> {
  const { apiDocument } = await import('./api/document.ts')
  return JSON.stringify(apiDocument(version()))
}
