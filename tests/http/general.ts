/** What holds for all of the API. */
import { describe, expect, test } from 'vitest'
import { QueueError } from '../../src/queue/errors.ts'
import { apiOf, expectInvalid, expectRefusal } from './support/api.ts'
import { type Setup, shared } from './support/service.ts'

export function describeGeneral(setup: Setup): void {
  const given = shared(setup)

  describe('general', () => {
    test('GET /health', async () => {
      const { get } = await given()
      expect(await get('/health')).toMatchObject({ status: 200, body: { status: 'healthy' } })
    })

    test.each([
      ['GET', '/nowhere'],
      ['POST', '/runs/run_1/nowhere'],
      ['GET', '/runs/'],
      ['DELETE', '/runner/runs/claim/more'],
    ])('an unknown route: %s %s', async (method, path) => {
      const { send } = await given()
      expectRefusal(await send(method, path), 404, 'not_found', 'Not Found')
    })

    test.each([
      ['PUT', '/runs', 'GET, HEAD, POST'],
      ['DELETE', '/runs/run_1', 'GET, HEAD'],
      ['GET', '/runs/run_1/stop', 'POST'],
      ['POST', '/health', 'GET, HEAD'],
      ['GET', '/runner/register', 'POST'],
      ['POST', '/runner/runs', 'GET, HEAD'],
      ['PUT', '/sessions/ses_1/metadata', 'PATCH'],
      ['PATCH', '/runners/lnch_1', 'DELETE'],
      ['OPTIONS', '/runs', 'GET, HEAD, POST'],
    ])('a wrong method: %s %s', async (method, path, allowed) => {
      const { send } = await given()
      const answer = await send(method, path)
      expectRefusal(answer, 405, 'method_not_allowed', 'Method Not Allowed')
      expect(answer.headers.get('allow')?.split(', ').sort().join(', ')).toBe(allowed)
    })

    test('answers are JSON and say so', async () => {
      const { get } = await given()
      for (const path of ['/health', '/runs', '/nowhere', '/runs/run_1', '/runs?limit=x']) {
        expect((await get(path)).headers.get('content-type')).toMatch(/^application\/json\b/)
      }
    })

    test('unknown request fields are ignored', async () => {
      const { post, get } = await given()
      const body = { type: 'start_session', prompt: 'hello', flavour: 'vanilla' }
      expect(await post('/runs', body)).toMatchObject({ status: 201 })
      expect(await get('/runs?flavour=vanilla')).toMatchObject({ status: 200 })
    })

    test('every mistake of a body is named with its place', async () => {
      const { post } = await given()
      const body = { type: 'begin', prompt: 5, priority: 'high' }
      expectInvalid(
        await post('/runs', body),
        ['body', 'type'],
        ['body', 'prompt'],
        ['body', 'priority'],
      )
      expect((await post('/runs', { prompt: 'hello' })).body).toMatchObject({
        detail: [{ type: 'missing', loc: ['body', 'type'], msg: 'Field required' }],
        message: 'type: Field required',
      })
    })

    test('a mistake in a query is named with its place', async () => {
      const { get } = await given()
      expectInvalid(await get('/runs?limit=0'), ['query', 'limit'])
      expectInvalid(await get('/runner/runs'), ['query', 'runner_id'])
    })

    test('a bodiless call may say that its body is JSON', async () => {
      const { addRun, send } = await given()
      const headers = { 'content-type': 'application/json' }
      const { run_id, session_id } = await addRun()
      expect(await send('POST', `/runs/${run_id}/stop`, { headers })).toMatchObject({ status: 200 })
      expect(await send('POST', `/sessions/${session_id}/stop`, { headers })).toMatchObject({
        status: 200,
      })
      expect(await send('GET', '/runs', { headers })).toMatchObject({ status: 200 })
    })

    test('an Authorization header is of no account', async () => {
      const { get } = await given()
      const headers = { authorization: 'Bearer of-another-system' }
      expect(await get('/runs', { headers })).toMatchObject({ status: 200 })
    })

    test('GET /agents: runners of the older generations find every agent', async () => {
      const { get } = await given()
      expect(await get('/agents')).toMatchObject({ status: 200, body: [] })
      expect(await get('/agents/reviewer')).toMatchObject({
        status: 200,
        body: { name: 'reviewer' },
      })
    })

    test.each([
      ['database_busy', 503],
      ['database_unavailable', 503],
      ['database_full', 507],
    ] as const)('%s: %i, to be tried again in a second', async (code, status) => {
      const trouble = new QueueError(code, 'the database is in trouble')
      const { post, errors } = await setup({
        wrap: (engine) => ({
          ...engine,
          runs: { ...engine.runs, add: () => Promise.reject(trouble) },
        }),
      })
      const answer = await post('/runs', { type: 'start_session', prompt: 'hello' })
      expectRefusal(answer, status, code, 'the database is in trouble')
      expect(answer.headers.get('retry-after')).toBe('1')
      expect(errors.splice(0)).toEqual([trouble])
    })

    test('after an error of ours: 500, and the log has it', async () => {
      const broken = new Error('nobody thought of this')
      const { get, errors } = await setup({
        wrap: (engine) => ({
          ...engine,
          runs: { ...engine.runs, list: () => Promise.reject(broken) },
        }),
      })
      expectRefusal(await get('/runs'), 500, 'internal_error', 'Internal Server Error')
      expect(errors.splice(0)).toEqual([broken])
    })
  })

  describe('CORS', () => {
    const preflight = {
      method: 'OPTIONS',
      headers: {
        origin: 'https://ui.example',
        'access-control-request-method': 'PATCH',
        'access-control-request-headers': 'authorization,content-type,idempotency-key',
      },
    }

    test('*: browsers may call from anywhere, and read refusals, too', async () => {
      const { url, get } = await setup({ config: { corsOrigins: ['*'] } })
      const allowed = await fetch(`${url}/runs`, preflight)
      expect(allowed.status).toBe(204)
      expect(allowed.headers.get('access-control-allow-origin')).toBe('*')
      for (const method of ['GET', 'POST', 'PATCH', 'PUT', 'DELETE']) {
        expect(allowed.headers.get('access-control-allow-methods')).toContain(method)
      }
      for (const header of ['Authorization', 'Content-Type', 'Idempotency-Key', 'Last-Event-ID']) {
        expect(allowed.headers.get('access-control-allow-headers')).toContain(header)
      }
      for (const path of ['/runs', '/nowhere', '/runs/run_1', '/runs?limit=0']) {
        const { headers } = await get(path, { headers: { origin: 'https://ui.example' } })
        expect(headers.get('access-control-allow-origin')).toBe('*')
      }
    })

    test('a list: these origins and no others', async () => {
      const corsOrigins = ['https://ui.example', 'http://localhost:3000']
      const { url } = await setup({ config: { corsOrigins } })
      const { get } = apiOf(url)
      const originsOf = async (origin: string) =>
        (await get('/runs', { headers: { origin } })).headers.get('access-control-allow-origin')
      expect(await originsOf('http://localhost:3000')).toBe('http://localhost:3000')
      expect(await originsOf('https://evil.example')).toBeNull()
    })

    test('none: no other origin', async () => {
      const { url } = await given()
      const answer = await fetch(`${url}/runs`, preflight)
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    })
  })
}
