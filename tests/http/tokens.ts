/** From no token to the first, what browsers are kept from, and how much a token may do. */
import { describe, expect, test } from 'vitest'
import { newToken, type TokenRole, tokenHash } from '../../src/queue/token.ts'
import { aNewToken } from '../support/factories.ts'
import { expectRefusal } from './support/api.ts'
import { rawConnection, request } from './support/raw.ts'
import { type Service, type Setup, shared } from './support/service.ts'

async function tokenIn({ engine, clock }: Service, role: TokenRole) {
  const token = newToken()
  const { token_id } = await engine.tokens.create(
    aNewToken({ role, token_hash: tokenHash(token) }),
    clock.now(),
  )
  return { token_id, init: { headers: { authorization: `Bearer ${token}` } } }
}

const RUN = { type: 'start_session', prompt: 'hello' }

export function describeTokens(setup: Setup): void {
  describe('tokens', () => {
    test('the first closes the door at once, and revoking the last does not open it', async () => {
      const service = await setup()
      const { get, engine, clock } = service
      const other = await service.another()
      expect((await get('/runs')).status).toBe(200)
      const { token_id, init } = await tokenIn(service, 'client')
      for (const { get } of [service, other]) {
        expectRefusal(await get('/runs'), 401, 'token_required')
        expect((await get('/runs', init)).status).toBe(200)
        expect((await get('/health')).status).toBe(200)
      }
      await engine.tokens.revoke(token_id, clock.now())
      for (const { get } of [service, other]) {
        expectRefusal(await get('/runs', init), 401, 'invalid_token')
        expectRefusal(await get('/runs'), 401, 'token_required')
      }
    })

    test('one that expires is of use until then', async () => {
      const { get, engine, clock } = await setup()
      const token = newToken()
      const made = aNewToken({ role: 'client', expires_at: clock.ahead(60) })
      await engine.tokens.create({ ...made, token_hash: tokenHash(token) }, clock.now())
      const init = { headers: { authorization: `bearer ${token}` } }
      clock.advance(59.999)
      expect((await get('/runs', init)).status).toBe(200)
      clock.advance(0.001)
      expectRefusal(await get('/runs', init), 401, 'invalid_token', 'The token has expired')
    })

    test('are always needed where other machines can call', async () => {
      const { get } = await setup({ config: { host: '0.0.0.0' } })
      expectRefusal(await get('/runs'), 401, 'token_required')
      const headers = { authorization: 'Bearer x' }
      expectRefusal(await get('/runs', { headers }), 401, 'invalid_token')
    })

    test.each(['Basic dXNlcjpwYXNz', 'Bearer', 'Bearer a b', 'x'])('%s is none', async (header) => {
      const service = await setup()
      await tokenIn(service, 'client')
      const answer = await service.get('/runs', { headers: { authorization: header } })
      expectRefusal(answer, 401, 'token_required')
    })

    test('refusals say what was being done, and who may', async () => {
      const service = await setup()
      const { init } = await tokenIn(service, 'runner')
      const { body } = await service.post('/runs', RUN)
      expect(body['message']).toBe(
        'A token (client or admin) is needed to add a run, and none was sent',
      )
      const denied = await service.post('/runs', RUN, init)
      expect(denied.body['message']).toMatch(/may not add a run: that takes client or admin$/)
    })

    test('nothing of a request that is refused is read', async () => {
      const service = await setup()
      await tokenIn(service, 'client')
      const { write, answer } = await rawConnection(service.url)
      write(request('POST', '/runs', '', ['Content-Length: 1000000']))
      expect((await answer()).status).toBe(401)
    })

    test.each([
      '%73elf=false&self=true',
      'self=false&self=true',
      'self=true&self=false',
      'self=true&%73elf=false',
    ])('whoever signs off with ?%s removes no other runner', async (query) => {
      const service = await setup()
      const runner_id = await service.register()
      const { init } = await tokenIn(service, 'runner')
      const { status } = await service.send('DELETE', `/runners/${runner_id}?${query}`, init)
      expect([401, 403]).toContain(status)
      expect(await service.engine.runners.get(runner_id)).toMatchObject({ deregistered_at: null })
    })

    test('an unknown route is unknown to all', async () => {
      const service = await setup()
      await tokenIn(service, 'client')
      expectRefusal(await service.get('/nowhere'), 404, 'not_found')
      expectRefusal(await service.send('PUT', '/runs'), 405, 'method_not_allowed')
    })

    test('a poll whose token is revoked while it waits gets nothing more', async () => {
      const service = await setup({ config: { pollTimeoutSeconds: 30 } })
      const { init, token_id } = await tokenIn(service, 'runner')
      const { engine, clock } = service
      const identity = { hostname: 'alpha', project_dir: '/p', executor_profile: 'x' }
      const registered = await service.post<{ runner_id: string }>(
        '/runner/register',
        identity,
        init,
      )
      const { answer } = await service.waiting(() => service.poll(registered.body.runner_id, init))
      await engine.tokens.revoke(token_id, clock.now())
      const added = { run_id: 'run_1', session_id: 'ses_1', type: 'start_session' } as const
      await engine.runs.add({ ...added, parameters: { prompt: 'x' } }, clock.now())
      expectRefusal(await answer, 401, 'invalid_token')
      expect((await engine.runs.get('run_1'))?.status).toBe('pending')
    })
  })

  describe('without any token', () => {
    const given = shared(setup)
    const ask = async (headers: string[], method = 'GET', path = '/runs') => {
      const { url } = await given()
      const { write, answer } = await rawConnection(url)
      const lines = [`${method} ${path} HTTP/1.1`, ...headers, 'Content-Length: 0']
      write(`${lines.join('\r\n')}\r\n\r\n`)
      const { status, body } = await answer()
      return { status, code: JSON.parse(body).code as string | undefined }
    }

    test.each([
      ...['localhost', 'LOCALHOST:1', '127.0.0.1:8765', '127.1.2.3', '[::1]', '[::1]:8765'],
      'queue.localhost:8765',
    ])('a request to %s is answered', async (host) => {
      expect(await ask([`Host: ${host}`])).toMatchObject({ status: 200 })
    })

    test.each([
      ...['evil.example', 'evil.example:8765', '192.168.0.7:8765', '127.0.0.1.evil.example'],
      ...['localhost.evil.example', '127.evil.example', '0.0.0.0'],
    ])('a request to %s, which a page may have made lead here, is refused', async (host) => {
      expect(await ask([`Host: ${host}`])).toEqual({ status: 403, code: 'host_not_allowed' })
    })

    const HOST = 'Host: localhost:8765'
    test.each([
      ['of another site', ['Origin: https://evil.example']],
      ['of another port', ['Origin: http://localhost:3000']],
      ['in a sandbox', ['Origin: null']],
      ['that tells no origin', ['Sec-Fetch-Site: cross-site']],
      ['of a neighbour', ['Sec-Fetch-Site: same-site']],
    ])('a page %s may not call', async (_, headers) => {
      for (const [method, path] of [
        ['GET', '/runs'],
        ['POST', '/runs/run_1/stop'],
        ['DELETE', '/runners/lnch_1'],
      ] as const) {
        const answer = await ask([HOST, ...headers], method, path)
        expect(answer).toEqual({ status: 403, code: 'origin_not_allowed' })
      }
    })

    test.each([
      ['of this server', ['Origin: http://localhost:8765', 'Sec-Fetch-Site: same-origin']],
      ['typed in', ['Sec-Fetch-Site: none']],
      ['as programs make it', []],
    ])('a request %s is answered', async (_, headers) => {
      expect(await ask([HOST, ...headers])).toMatchObject({ status: 200 })
    })

    test('CORS_ORIGINS lets others in', async () => {
      const { get } = await setup({ config: { corsOrigins: ['https://ui.example'] } })
      const from = (origin: string) => get('/runs', { headers: { origin } })
      expect((await from('https://ui.example')).status).toBe(200)
      expectRefusal(await from('https://evil.example'), 403, 'origin_not_allowed')
    })
  })

  test('browsers of allowed origins ask before they send a token, and read refusals', async () => {
    const service = await setup({ config: { corsOrigins: ['https://ui.example'] } })
    const { init } = await tokenIn(service, 'client')
    const origin = 'https://ui.example'
    const preflight = {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    }
    const asked = await service.send('OPTIONS', '/runs', { headers: preflight })
    expect(asked.status).toBe(204)
    expect(asked.headers.get('access-control-allow-headers')).toContain('Authorization')
    const denied = await service.get('/runs', { headers: { origin } })
    expectRefusal(denied, 401, 'token_required')
    expect(denied.headers.get('access-control-allow-origin')).toBe(origin)
    const allowed = await service.get('/runs', { headers: { ...init.headers, origin } })
    expect(allowed.status).toBe(200)
  })

  describe('limits', () => {
    test('of runs a second, for each token', async () => {
      const service = await setup({ config: { runRateLimit: 0.5, runRateBurst: 3 } })
      const { post, clock } = service
      const { init } = await tokenIn(service, 'client')
      const { init: other } = await tokenIn(service, 'client')
      expect((await post('/runs/batch', { runs: [RUN, RUN] }, init)).status).toBe(201)
      const added = await post('/runs', RUN, init)
      expect(added.status).toBe(201)
      const run_id = added.body['run_id'] as string
      await post(`/runs/${run_id}/stop`, undefined, init)
      for (const refused of [
        await post('/runs', RUN, init),
        await post(`/runs/${run_id}/retry`, undefined, init),
      ]) {
        expectRefusal(refused, 429, 'rate_limited')
        expect(refused.headers.get('retry-after')).toBe('2')
      }
      const batch = await post('/runs/batch', { runs: [RUN, RUN] }, init)
      expect(batch.headers.get('retry-after')).toBe('4')
      expect((await post('/runs', RUN, other)).status).toBe(201)
      clock.advance(2)
      expect((await post('/runs', RUN, init)).status).toBe(201)
    })

    test('of requests that wait, for work and for ends, together', async () => {
      const config = { pollTimeoutSeconds: 30, maxWaiting: 1 }
      const service = await setup({ config })
      const { addRun, register, get, poll, run, leave } = service
      const { run_id } = await addRun({ additional_demands: { hostname: 'nobody' } })
      const first = await register()
      const second = await register({ hostname: 'b' })
      const { answer } = await service.waiting(() => poll(first))
      for (const refused of [await poll(second), await get(`/runs/${run_id}?wait=30`)]) {
        expectRefusal(refused, 503, 'too_many_waiting')
        expect(refused.headers.get('retry-after')).toBe('2')
      }
      // What needs no waiting is answered as ever.
      expect((await run(run_id)).status).toBe('pending')
      await addRun({ additional_demands: { hostname: 'b' } })
      expect(await poll(second)).toMatchObject({ status: 200 })
      await addRun({ additional_demands: { hostname: 'alpha' } })
      expect(await answer).toMatchObject({ status: 200 })
      const { answer: next } = await service.waiting(() => poll(first))
      leave()
      expect(await next).toMatchObject({ status: 204 })
    })
  })
}
