/** A real browser, and pages in which nothing may go wrong unseen. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import sparticuz from '@sparticuz/chromium'
import type { AxeResults } from 'axe-core'
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core'
import { afterAll, expect, onTestFinished } from 'vitest'

/** One for all tests of a file: to start one costs more than they do. */
export function sharedBrowser(): () => Promise<Browser> {
  let browser: Promise<Browser> | undefined
  afterAll(async () => (await browser)?.close())
  return () => {
    browser ??= launch()
    return browser
  }
}

async function launch(): Promise<Browser> {
  const executablePath = await sparticuz.executablePath()
  return await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--font-render-hinting=none'],
  })
}

/** As a person would open the page; an error in it, or something that its policy forbids, fails the test. */
export async function openContext(
  browser: Browser,
  baseURL: string,
  options: BrowserContextOptions = {},
): Promise<BrowserContext & { trouble: string[] }> {
  const context = await browser.newContext({ baseURL, locale: 'en-GB', ...options })
  context.setDefaultTimeout(15_000)
  const trouble: string[] = []
  context.on('page', (page) => {
    page.on('pageerror', (error) => trouble.push(String(error)))
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) trouble.push(message.text())
    })
  })
  onTestFinished(async () => {
    await context.close()
    expect(trouble).toEqual([])
  })
  return Object.assign(context, { trouble })
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/**
 * What would be in the way of somebody who cannot see, or not well, or has no mouse.
 * @param rules only these; absent: all
 */
export async function barriers(page: Page, rules?: readonly string[]): Promise<string[]> {
  await page.evaluate(axe)
  const options = rules === undefined ? '{}' : JSON.stringify({ runOnly: rules })
  const { violations } = await page.evaluate<AxeResults>(`axe.run(${options})`)
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
}
