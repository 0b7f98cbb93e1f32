/** The dashboard in a real browser: what a person sees and does, by mouse and by keyboard. */
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { newToken, type TokenRole, tokenHash } from '../../src/queue/token.ts'
import { type Service, setupOf } from '../http/support/service.ts'
import { openFixture } from '../sqlite/fixture.ts'
import { aNewToken } from '../support/factories.ts'
import { barriers, openContext, sharedBrowser } from './browser.ts'

const setup = setupOf(openFixture)
const browser = sharedBrowser()

async function openPage(service: Service, path: string, options = {}): Promise<Page> {
  const context = await openContext(await browser(), service.url, options)
  const page = await context.newPage()
  await page.goto(path)
  await page.locator('main .view, main form').first().waitFor()
  return page
}

const statusOf = (page: Page, run_id: string) =>
  page.locator(`#row-${run_id} .status`).textContent()
const seen = (look: () => Promise<unknown>) => expect.poll(look)

/** Tables of which a part is out of sight, but for those that are folded away. */
const CUT_TABLES = `[...document.querySelectorAll('.scroll')]
  .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth)
  .map((each) => each.getAttribute('aria-label'))`

/** Gone as soon as the page is loaded anew. */
const stay = (page: Page) => page.evaluate(() => Object.assign(globalThis, { stayed: true }))
const stayed = (page: Page) => page.evaluate(() => 'stayed' in globalThis)

describe('a run', () => {
  test('comes, is claimed, runs and ends before the eyes of who looks at the list', async () => {
    const service = await setup()
    const page = await openPage(service, '/dashboard/runs')
    await page.locator('.live[data-state=live]').waitFor()
    await stay(page)
    const runner_id = await service.register()
    const { run_id } = await service.addRun({ prompt: 'Paint the fence' })
    await seen(() => statusOf(page, run_id)).toBe('pending')
    const [run] = (await service.claim(runner_id)).runs
    if (!run) throw new Error('it was not claimed')
    await seen(() => statusOf(page, run_id)).toBe('claimed')
    await service.report('started', { runner_id, run })
    await seen(() => statusOf(page, run_id)).toBe('running')
    await service.report('completed', { runner_id, run })
    await seen(() => statusOf(page, run_id)).toBe('completed')
    expect(await stayed(page)).toBe(true)
  })

  test('is stopped by the keyboard, after a question, and its page tells what happened', async () => {
    const service = await setup()
    const held = await service.begin({ prompt: 'Paint the fence' })
    const page = await openPage(service, `/dashboard/runs/${held.run.run_id}`)
    await page.locator('.live[data-state=live]').waitFor()
    await stay(page)
    await page.getByRole('button', { name: 'Stop' }).focus()
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Stop this run?' })
    await dialog.waitFor()
    // Enter at once is the harmless answer.
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'hidden' })
    expect((await service.run(held.run.run_id)).status).toBe('running')
    await page.keyboard.press('Enter')
    await page.keyboard.press('Shift+Tab')
    await page.keyboard.press('Enter')
    await seen(() => page.locator('.title .status').textContent()).toBe('stopping')
    await service.report('stopped', held)
    await seen(() => page.locator('.title .status').textContent()).toBe('stopped')
    await seen(() => page.locator('.timeline').textContent()).toMatch(
      /asked to stop.*stopped on alpha/,
    )
    await seen(() => page.locator('#say').textContent()).toContain('stopped')
    await page.getByRole('button', { name: 'Retry' }).click()
    await seen(() => page.locator('.title .status').textContent()).toBe('pending')
    expect(page.url()).not.toContain(held.run.run_id)
    expect(await stayed(page)).toBe(true)
  })

  test('is found by status and by text, and the address says how', async () => {
    const service = await setup()
    const failed = await service.begin({ prompt: 'Paint the fence' })
    await service.report('failed', failed, { error: 'no paint' })
    const { run_id } = await service.addRun({ prompt: 'Mow the lawn' })
    const page = await openPage(service, '/dashboard/runs')
    const rows = () => page.locator('tbody tr').evaluateAll((all) => all.map(({ id }) => id))
    expect(await rows()).toEqual([`row-${run_id}`, `row-${failed.run.run_id}`])
    await page.getByLabel('failed').check()
    await seen(rows).toEqual([`row-${failed.run.run_id}`])
    expect(new URL(page.url()).search).toBe('?status=failed')
    await page.getByLabel('failed').uncheck()
    await page.getByLabel('Search').fill('LAWN')
    await page.keyboard.press('Enter')
    await seen(rows).toEqual([`row-${run_id}`])
    await page.reload()
    await seen(rows).toEqual([`row-${run_id}`])
    expect(await page.getByLabel('Search').inputValue()).toBe('LAWN')
    await page.goBack()
    await seen(rows).toHaveLength(2)
  })
})

describe('who looks', () => {
  async function withToken(service: Service, role: TokenRole): Promise<string> {
    const token = newToken()
    await service.engine.tokens.create(
      aNewToken({ role, token_hash: tokenHash(token) }),
      service.clock.now(),
    )
    return token
  }

  test('is asked for a token once, which new tabs know and which can be forgotten', async () => {
    const service = await setup()
    const token = await withToken(service, 'client')
    const context = await openContext(await browser(), service.url)
    const page = await context.newPage()
    await page.goto('/dashboard/runners')
    await page.getByLabel('Token').fill('wrong')
    await page.getByRole('button', { name: 'Open' }).click()
    await page.getByText('is not known here').waitFor()
    await page.getByLabel('Token').fill(token)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Runners' }).waitFor()
    await page.locator('.live[data-state=live]').waitFor()
    expect(await context.cookies()).toEqual([])
    const other = await context.newPage()
    await other.goto('/dashboard/runs')
    await other.getByRole('heading', { name: 'Runs' }).waitFor()
    await other.getByRole('button', { name: 'Forget token' }).click()
    await other.getByLabel('Token').waitFor()
    expect(await page.evaluate('sessionStorage.length')).toBe(0)
    // The browser tells of each answer that is none; nothing else may be told.
    const { trouble } = context
    expect(trouble.filter((each) => !/Failed to load resource.* 401/.test(each))).toEqual([])
    trouble.length = 0
  })

  test('with a token of another role is told so', async () => {
    const service = await setup()
    const token = await withToken(service, 'runner')
    const context = await openContext(await browser(), service.url)
    const page = await context.newPage()
    await page.goto('/')
    await page.getByLabel('Token').fill(token)
    await page.keyboard.press('Enter')
    await page.getByText(/may not look at the queue: that takes client or admin/).waitFor()
    context.trouble.length = 0
  })

  test('gets to the content and to the views by the keyboard', async () => {
    const service = await setup()
    const { run_id } = await service.addRun()
    const page = await openPage(service, '/')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    expect(await page.evaluate('document.activeElement.id')).toBe('main')
    await page.getByRole('link', { name: 'Runs', exact: true }).focus()
    await page.keyboard.press('Enter')
    const focused = () => page.evaluate('document.activeElement.textContent')
    await seen(focused).toBe('Runs')
    await page.locator(`#row-${run_id} a`).first().focus()
    await page.keyboard.press('Enter')
    await seen(focused).toContain(run_id)
    expect(await page.title()).toBe(`Run ${run_id}, pending · runqueue`)
  })

  test('meets no barrier, in light and in dark', async () => {
    const service = await setup()
    const held = await service.begin({ prompt: 'Paint the fence', agent_name: 'painter' })
    await service.report('failed', held, { error: 'no paint' })
    const { run_id } = await service.addRun({ additional_demands: { tags: ['red'] } })
    const page = await openPage(service, '/', { colorScheme: 'light' })
    const { runner_id, run } = held
    const lists = ['runs', 'sessions', 'runners']
    const ones = [`runs/${run_id}`, `sessions/${run.session_id}`, `runners/${runner_id}`]
    for (const path of ['/', ...[...lists, ...ones].map((each) => `/dashboard/${each}`)]) {
      await page.goto(path)
      await page.locator('main .view').waitFor()
      if (path === '/') await page.locator('.plot canvas').first().waitFor()
      if (path.includes(run_id)) await page.getByText('no registered runner has tag red').waitFor()
      for (const more of await page.locator('summary').all()) await more.click()
      expect({ path, barriers: await barriers(page) }).toEqual({ path, barriers: [] })
      // All but the colours are the same then.
      await page.emulateMedia({ colorScheme: 'dark' })
      const dark = await barriers(page, ['color-contrast'])
      expect({ path, dark }).toEqual({ path, dark: [] })
      await page.emulateMedia({ colorScheme: 'light' })
    }
  })

  test('reads the reference of the API', async () => {
    const service = await setup()
    const context = await openContext(await browser(), service.url, {
      viewport: { width: 360, height: 740 },
    })
    const page = await context.newPage()
    await page.goto('/docs')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    expect(page.url()).toContain('#start')
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    // They are alike, and all of them take half a minute.
    await page.evaluate(
      `for (const each of document.querySelectorAll('section ~ section ~ section')) each.remove()`,
    )
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      expect(await barriers(page)).toEqual([])
    }
  })

  test('sees the plots where the machine of the browser has no language', async () => {
    const service = await setup()
    const context = await openContext(await browser(), service.url)
    await context.addInitScript(
      "Object.defineProperty(Navigator.prototype, 'language', { get: () => 'en-US@posix' })",
    )
    const page = await context.newPage()
    await page.goto('/')
    await page.locator('.plot canvas').first().waitFor()
  })

  test('on a phone sees all without scrolling sideways', async () => {
    const service = await setup()
    const long = 'x'.repeat(200)
    const runner_id = await service.register({ hostname: long, tags: [long] })
    await service.begin({ prompt: 'Paint the fence '.repeat(9), agent_name: long }, runner_id)
    const demands = { hostname: long, tags: [long, 'nobody'] }
    const { run_id } = await service.addRun({ additional_demands: demands })
    const page = await openPage(service, '/', { viewport: { width: 360, height: 740 } })
    await page.locator('.plot canvas').first().waitFor()
    for (const name of ['Runs', 'Sessions', 'Runners', 'Overview']) {
      await page.getByRole('link', { name, exact: true }).click()
      await page.locator(`.view[data-title=${name}]`).waitFor()
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
      expect({ name, cut: await page.evaluate(CUT_TABLES) }).toEqual({ name, cut: [] })
    }
    await page.goto(`/dashboard/runs/${run_id}`)
    await page.getByText('No runner online could take it').waitFor()
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
  })
})
