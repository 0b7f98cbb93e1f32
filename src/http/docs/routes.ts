/**
 * What the API says of itself, to programs and to people. It is the same as long as the process
 * lives, and made when it is first asked for: servers that nobody asks do not load what makes it.
 */
import { Hono } from 'hono'
import { version } from '../../version.ts'
import type { Env } from '../deps.ts'

export function docsRoutes(): Hono<Env> {
  const app = new Hono<Env>()
  let document: Promise<string> | undefined
  let page: ReturnType<typeof makePage> | undefined
  const documentOnce = () => {
    document ??= makeDocument()
    return document
  }

  app.get('/openapi.json', async (c) =>
    c.body(await documentOnce(), 200, { 'Content-Type': 'application/json' }),
  )

  app.get('/docs', async (c) => {
    page ??= documentOnce().then(makePage)
    const { html, headers } = await page
    return c.html(html, 200, headers)
  })

  return app
}

async function makeDocument(): Promise<string> {
  const { apiDocument } = await import('../api/document.ts')
  return JSON.stringify(apiDocument(version()))
}

async function makePage(document: string) {
  const { CONTENT_SECURITY_POLICY, docsPage } = await import('./page.tsx')
  const headers = {
    'Content-Security-Policy': CONTENT_SECURITY_POLICY,
    'X-Content-Type-Options': 'nosniff',
  }
  return { html: docsPage(JSON.parse(document)), headers }
}
