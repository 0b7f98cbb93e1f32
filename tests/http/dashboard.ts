/** The dashboard as it goes over the wire; what a person does with it is tried in a browser. */
import { describe, expect, test } from 'vitest'
import { LIST_LIMIT } from '../../src/queue/run-queue.ts'
import { aNewRunner } from '../support/factories.ts'
import type { Answer } from './support/api.ts'
import { type Service, type Setup, shared } from './support/service.ts'

const PAGES = ['/', '/dashboard/runs', '/dashboard/runs/run_1', '/dashboard/runners']
const EVIL = '<script>alert(1)</script><img src=x onerror=alert(1)>"\''

const view = (service: Service, path: string) => service.get(`/dashboard/fragments/${path}`)

function expectSecure({ headers }: Answer<unknown>): void {
  const policy = headers.get('content-security-policy') ?? ''
  expect(policy).toContain("default-src 'none'")
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).not.toContain('unsafe')
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('referrer-policy')).toBe('no-referrer')
}

/** Nothing that the policy would have to forbid. */
function expectPlain(html: string): void {
  expect(html).not.toMatch(/<script(?![^>]* src=)|\son\w+=|\sstyle=|javascript:/i)
}

export function describeDashboard(setup: Setup): void {
  const given = shared(setup)

  describe('the dashboard', () => {
    test.each(PAGES)('%s is one shell, which holds no data', async (path) => {
      const service = await given()
      await service.addRun({ prompt: 'secret' })
      const page = await service.get(path)
      expect(page).toMatchObject({ status: 200, text: (await service.get('/')).text })
      expect(page.text).not.toContain('secret')
      expectSecure(page)
      expectPlain(page.text)
      const etag = page.headers.get('etag') ?? ''
      const again = await service.get(path, { headers: { 'if-none-match': etag } })
      expect(again.status).toBe(304)
    })

    test('all that the shell loads is there, may be kept for ever, and changes its address', async () => {
      const service = await given()
      const { text } = await service.get('/')
      const files = [...text.matchAll(/(?:src|href)="(\/dashboard\/assets\/[^"]+)"/g)]
      expect(files.length).toBeGreaterThan(4)
      for (const [, path = ''] of files) {
        const file = await service.get(path)
        expect(file.status).toBe(200)
        expectSecure(file)
        expect(file.headers.get('cache-control')).toContain('immutable')
        expect(file.headers.get('content-type')).toMatch(/^(text\/(css|javascript)|image\/svg)/)
        const headers = { 'if-none-match': file.headers.get('etag') ?? '' }
        expect((await service.get(path, { headers })).status).toBe(304)
        expect((await service.get(path.replace(/assets\/\w+/, 'assets/old'))).status).toBe(404)
      }
      const version = /assets\/(\w+)/.exec(text)?.[1]
      for (const name of ['tsconfig.json', '..%2fpackage.json', 'constructor']) {
        expect((await service.get(`/dashboard/assets/${version}/${name}`)).status).toBe(404)
      }
    })

    test('whatever a run holds is shown as text', async () => {
      const service = await given()
      const runner_id = await service.register({ hostname: EVIL, tags: [EVIL] })
      const held = await service.begin({ prompt: EVIL, agent_name: EVIL, priority: 9 }, runner_id)
      await service.report('failed', held, { error: EVIL })
      const { run_id, session_id } = held.run
      await service.addRun({ prompt: EVIL, additional_demands: { hostname: EVIL, tags: [EVIL] } })
      const paths = [
        'overview',
        'runs',
        `runs?q=${encodeURIComponent(EVIL)}`,
        'runners',
        'sessions',
      ]
      const pages = [`runs/${run_id}`, `sessions/${session_id}`, `runners/${runner_id}`]
      for (const path of [...paths, ...pages]) {
        const answer = await view(service, path)
        expect(answer.status).toBe(200)
        expectSecure(answer)
        expect(answer.headers.get('cache-control')).toBe('no-store')
        expectPlain(answer.text.replaceAll(/&lt;.*?&gt;/g, ''))
      }
      expect((await view(service, `runs/${run_id}`)).text).toContain('&lt;script&gt;alert(1)')
    })

    test('the overview tells what waits, for what, and who can take it', async () => {
      const service = await setup()
      await service.register({ tags: ['linux'] })
      await service.addRun({ additional_demands: { tags: ['linux'] } })
      const { run_id } = await service.addRun({ additional_demands: { tags: ['windows'] } })
      const { text } = await view(service, 'overview')
      expect(text).toMatch(/linux.*1 runner<.*windows.*nobody<.* online/s)
      const page = await view(service, `runs/${run_id}`)
      expect(page.text).toContain('no registered runner has tag windows')
      const activity = await view(service, 'activity?span=hour')
      expect(activity.text).toContain('<b>2</b> added')
      expect((await view(service, 'activity?span=day')).text).toContain('In the last day')
    })

    test('of more runners than it looks at it says at least', async () => {
      const service = await setup()
      await service.addRun({ additional_demands: { tags: ['rare'] } })
      const { runners } = service.engine
      const long_ago = '2026-01-01T00:00:00.000Z'
      await Promise.all(
        Array.from({ length: LIST_LIMIT }, () =>
          runners.register(aNewRunner(), long_ago, long_ago),
        ),
      )
      const { text } = await view(service, 'overview')
      expect(text).toMatch(/<b>0\+<\/b><small class="is-stale">1,000\+ stale/)
      expect(text).toContain('0+ runners')
      expect(text).not.toContain('nobody')
    })

    test('what no sample shows is not told as nothing', async () => {
      const service = await setup()
      await service.post('/runs/batch', {
        runs: Array.from({ length: 300 }, () => ({ type: 'start_session', prompt: 'more' })),
      })
      const { text } = await view(service, 'activity?span=hour')
      expect(text).toMatch(/about <b>\d+<\/b> added.*<b>few or none<\/b> failed/s)
    })

    test('runs are found by id, session, runner, status, agent and text, page by page', async () => {
      const service = await setup()
      const { runner_id, run } = await service.begin({ prompt: 'Paint the fence' })
      const writer = await service.addRun({ prompt: 'write a poem', agent_name: 'writer' })
      const found = async (query: string) =>
        [...(await view(service, `runs?${query}`)).text.matchAll(/id="row-(run_\w+)"/g)].map(
          ([, run_id]) => run_id,
        )
      expect(await found('')).toEqual([writer.run_id, run.run_id])
      for (const query of [
        ...[`q=${run.run_id}`, `q=${run.session_id}`, `q=${runner_id}`, 'q=FENCE'],
        ...['status=running', `session_id=${run.session_id}`, `runner_id=${runner_id}&q=paint`],
      ]) {
        expect({ query, found: await found(query) }).toEqual({ query, found: [run.run_id] })
      }
      expect(await found('agent=writer&status=pending,failed')).toEqual([writer.run_id])
      expect(await found('q=run_000000000000')).toEqual([])
      await service.post('/runs/batch', {
        runs: Array.from({ length: 60 }, () => ({ type: 'start_session', prompt: 'more' })),
      })
      const first = await view(service, 'runs')
      const older = /href="\/dashboard\/runs\?([^"]+)">Older/.exec(first.text)?.[1] ?? ''
      expect(await found(older.replaceAll('&amp;', '&'))).toHaveLength(12)
      expect((await view(service, 'runs?cursor=x')).status).toBe(422)
    })

    test('a run that is not there is 404', async () => {
      expect((await view(await given(), 'runs/run_unknown')).status).toBe(404)
      expect((await view(await given(), 'sessions/ses_unknown')).status).toBe(404)
      expect((await view(await given(), 'runners/lnch_unknown')).status).toBe(404)
    })
  })
}
