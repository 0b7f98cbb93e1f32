/** Takes the README's pictures of the dashboard anew: `npm run screenshots`. */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sparticuz from '@sparticuz/chromium'
import pino from 'pino'
import { type Browser, chromium } from 'playwright-core'
import { parseConfig } from '../src/config.ts'
import { openEngine } from '../src/engine.ts'
import { startServer } from '../src/main.ts'
import { fillDemoQueue } from './demo-queue.ts'

const FOLDER = process.argv[2] ?? 'docs'
const WIDE = { width: 1280, height: 860 }
const LOW = { width: 1280, height: 560 }

const PICTURES = [
  { name: 'dashboard-light', path: '/', scheme: 'light', size: WIDE },
  { name: 'dashboard-dark', path: '/', scheme: 'dark', size: WIDE },
  { name: 'run-light', path: 'run', scheme: 'light', size: LOW },
  { name: 'run-dark', path: 'run', scheme: 'dark', size: LOW },
] as const

const folder = mkdtempSync(join(tmpdir(), 'runqueue-demo-'))
const url = `file:${join(folder, 'queue.db')}`
const engine = await openEngine({ url, durability: 'normal' })
await fillDemoQueue(engine, new Date())
const { runs } = await engine.runs.list({ statuses: ['pending'], limit: 10 })
const waiting = runs.find(({ demands }) => demands?.tags.includes('windows'))
await engine.close()

const environment = { DATABASE_URL: url, PORT: '0', RUN_RECOVERY_MODE: 'none' }
const server = await startServer(parseConfig(environment), pino({ level: 'silent' }))
const browser = await chromium.launch({
  executablePath: await sparticuz.executablePath(),
  args: ['--no-sandbox', '--font-render-hinting=none'],
})
try {
  mkdirSync(FOLDER, { recursive: true })
  for (const picture of PICTURES) await take(browser, picture)
} finally {
  await browser.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
}

async function take(from: Browser, { name, path, scheme, size }: (typeof PICTURES)[number]) {
  const page = await from.newPage({ colorScheme: scheme, viewport: size, locale: 'en-GB' })
  await page.goto(server.url + (path === 'run' ? `/dashboard/runs/${waiting?.run_id}` : path))
  await page.waitForSelector('.view')
  await page.waitForSelector('.live[data-state=live]')
  if (path === '/') await page.waitForSelector('.plot canvas')
  const file = join(FOLDER, `${name}.png`)
  await page.screenshot({ path: file })
  console.log(`${file} ${Math.round(statSync(file).size / 1000)} kB`)
  await page.close()
}
