/**
 * Whatever is asked of any route: an answer, never an error of ours, and nothing stored by what was
 * refused. fast-check prints the seed of a failure; FUZZ_CASES=20000 looks longer.
 */
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { openWatcher } from '../../src/sqlite/file.ts'
import { type Service, setupOf } from '../http/support/service.ts'
import { openFixture } from '../sqlite/fixture.ts'
import { type WildRequest, wildRequests } from './requests.ts'
import { KNOWN, type Known } from './values.ts'

const CASES = Number(process.env['FUZZ_CASES'] ?? 1500)
/** What exists is used up by and by: deleted, ended, stopped. */
const CASES_WITH_SAME_IDS = 25
/** Who waits for work or for an end goes away then. */
const PATIENCE_MS = 20
/** A database that is locked, gone or full; the rest of 5xx would be our own mistake. */
const STATED_5XX = [503, 507]

/** Changes with each commit, of whoever. */
async function commitsOf(url: string): Promise<() => unknown> {
  const watcher = await openWatcher(url.replace(/^file:/, ''))
  onTestFinished(() => void watcher.close())
  const version = watcher.prepare('PRAGMA data_version').pluck()
  return () => version.get()
}

let made = 0

async function existing(service: Service): Promise<Record<Known, string>> {
  made += 1
  const runner_id = await service.register({ hostname: `host-${made}` })
  const { run_id } = await service.addRun({ priority: 1_000_000 })
  // Fuzzed runs of that priority may be before it.
  const { runs } = await service.claim(runner_id, { limit: 100 })
  const run = runs.find((each) => each.run_id === run_id)
  if (!run) throw new Error('more than a hundred runs are before it')
  await service.report('started', { runner_id, run })
  return {
    ...{ '~run~': run.run_id, '~session~': run.session_id },
    ...{ '~runner~': runner_id, '~token~': run.claim_token },
  }
}

async function send(service: Service, request: WildRequest, ids: Record<Known, string>) {
  const filled = (text: string) =>
    KNOWN.reduce((given, name) => given.replaceAll(name, ids[name]), text)
  const { method, path, headers, body } = request
  const leave = new AbortController()
  const timer = setTimeout(() => leave.abort(), PATIENCE_MS)
  const hasBody = body !== null && method !== 'GET' && method !== 'HEAD'
  try {
    return await service.app.request(filled(path), {
      ...{ method, headers, signal: leave.signal },
      ...(hasBody && { body: filled(body) }),
    })
  } finally {
    clearTimeout(timer)
  }
}

/** The one shape of all refusals. */
async function expectRefusalForm(response: Response): Promise<void> {
  const body = (await response.json()) as Record<string, unknown>
  expect(Object.keys(body).sort()).toEqual(['code', 'detail', 'message'])
  expect(body['code']).toMatch(/^[a-z][a-z0-9_]*$/)
  expect(body['message']).toMatch(/./)
  if (response.status !== 422 || !Array.isArray(body['detail'])) return
  for (const fault of body['detail']) {
    expect(fault).toEqual({
      ...{ type: expect.any(String), loc: expect.any(Array), msg: expect.any(String) },
    })
  }
}

test(`any request to any route, ${CASES} times`, { timeout: 60_000 + CASES * 50 }, async () => {
  const fixture = await openFixture()
  const service = await setupOf(async () => fixture)()
  const commits = await commitsOf(fixture.opener.url)
  const seen = new Map<string, Set<number>>()
  let ids = await existing(service)
  let cases = 0
  await fc.assert(
    fc.asyncProperty(wildRequests(service.app), async (request) => {
      cases += 1
      if (cases % CASES_WITH_SAME_IDS === 0) ids = await existing(service)
      const before = commits()
      const response = await send(service, request, ids)
      const { status } = response
      seen.set(request.route, (seen.get(request.route) ?? new Set()).add(status))
      if (status >= 500) expect(STATED_5XX).toContain(status)
      if (status >= 400) {
        expect(commits()).toBe(before)
        if (request.method !== 'HEAD') await expectRefusalForm(response)
      }
      expect(service.errors.splice(0)).toEqual([])
    }),
    { numRuns: CASES },
  )
  expect((await service.get('/health')).status).toBe(200)
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  // Each route was reached, and taken at its word at times: otherwise this proves little.
  const routes = service.app.routes.filter(({ method }) => method !== 'ALL')
  expect([...seen.keys()].sort()).toEqual(
    [...new Set(routes.map(({ method, path }) => `${method} ${path}`))].sort(),
  )
  const accepted = [...seen.values()].filter((statuses) => Math.min(...statuses) < 300)
  expect(accepted.length).toBeGreaterThan(routes.length * 0.8)
})
