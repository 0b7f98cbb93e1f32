import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  ApiError,
  ConnectionError,
  isTokenRefused,
  RunqueueClient,
} from '../../src/client/index.ts'

const URL_OF_TESTS = 'http://queue.test:1'

/** A client whose every question gets this answer, and what it asked. */
function answeredWith(answer: () => Response) {
  const asked: { url: string; method: string; body: unknown }[] = []
  const client = new RunqueueClient({
    url: `${URL_OF_TESTS}/`,
    fetch: async (input, init) => {
      const body = init?.body === undefined ? undefined : JSON.parse(String(init.body))
      asked.push({ url: String(input), method: init?.method ?? 'GET', body })
      return answer()
    },
  })
  return { client, asked }
}

async function errorOf(answer: () => Response): Promise<unknown> {
  return answeredWith(answer)
    .client.getRun('run_1')
    .catch((error: unknown) => error)
}

const refused = (body: unknown, status = 422) => errorOf(() => Response.json(body, { status }))

describe('a question', () => {
  test('goes to its path with its query; what was not given is not sent', async () => {
    const { client, asked } = answeredWith(() => Response.json({ runs: [], next_cursor: null }))
    await client.listRuns({ status: ['pending', 'running'], limit: 5 })
    await client.getRun('a/b?c', { waitSeconds: 2 })
    await client.removeRunner('lnch_1', { self: true })
    expect(asked).toEqual([
      { url: `${URL_OF_TESTS}/runs?status=pending%2Crunning&limit=5`, method: 'GET' },
      { url: `${URL_OF_TESTS}/runs/a%2Fb%3Fc?wait=2`, method: 'GET' },
      { url: `${URL_OF_TESTS}/runners/lnch_1?self=true`, method: 'DELETE' },
    ])
  })

  test('carries its body as JSON', async () => {
    const { client, asked } = answeredWith(() => Response.json({ ok: true }))
    await client.reportFailed('run_1', { runner_id: 'lnch_1', error: 'no' })
    expect(asked).toEqual([
      {
        url: `${URL_OF_TESTS}/runner/runs/run_1/failed`,
        method: 'POST',
        body: { runner_id: 'lnch_1', error: 'no' },
      },
    ])
  })
})

describe('a token', () => {
  const headersOf = async (token: string | undefined, call: (c: RunqueueClient) => unknown) => {
    let sent = new Headers()
    const fetch: typeof globalThis.fetch = async (_, init) => {
      sent = new Headers(init?.headers)
      return Response.json({})
    }
    await call(new RunqueueClient({ url: URL_OF_TESTS, token, fetch }))
    return Object.fromEntries(sent)
  }

  test('goes along with every question, with and without a body', async () => {
    const authorization = 'Bearer rq_1'
    expect(await headersOf('rq_1', (client) => client.listRuns())).toEqual({ authorization })
    expect(await headersOf('rq_1', (client) => client.heartbeat('lnch_1'))).toEqual({
      authorization,
      'content-type': 'application/json',
    })
    expect(await headersOf(undefined, (client) => client.listRuns())).toEqual({})
  })

  test.each([
    ['token_required', 401, true],
    ['invalid_token', 401, true],
    ['insufficient_scope', 403, true],
    ['runner_not_yours', 403, true],
    ['runner_not_registered', 401, false],
    ['run_not_held', 409, false],
  ])('%s: is it about the token?', async (code, status, expected) => {
    expect(isTokenRefused(await refused({ code, message: code, detail: code }, status))).toBe(
      expected,
    )
  })
})

describe('a refusal says', () => {
  test('which fields are wrong and why', async () => {
    const detail = [
      { type: 'too_big', loc: ['body', 'priority'], msg: 'must be at most 1000' },
      { type: 'invalid', loc: ['body', 'runs', 3, 'type'], msg: 'must be start_session' },
      { type: 'json_invalid', loc: ['body'], msg: 'the body is not JSON' },
    ]
    const error = await refused({ detail, code: 'invalid_request', message: 'invalid request' })
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({
      status: 422,
      code: 'invalid_request',
      detail,
      message:
        'priority: must be at most 1000; runs.3.type: must be start_session; the body is not JSON',
    })
  })

  test('which parameters an agent does not take', async () => {
    const detail = {
      error: 'parameter_validation_failed',
      message: 'Parameters do not match',
      validation_errors: [{ path: '$.prompt', message: 'is required', schema_path: 'required' }],
    }
    const error = await refused({ detail, message: 'Parameters do not match' }, 400)
    expect(error).toMatchObject({ message: 'prompt: is required', code: 'http_400' })
  })

  test.each([
    [{ code: 'run_not_found', message: 'Run not found', detail: 'not here' }, 'Run not found'],
    [{ detail: 'Not Found' }, 'Not Found'],
    [{ detail: { error: 'duplicate_runner', message: 'is online' } }, 'is online'],
    [{ detail: [] }, 'the server answered 422'],
    [{ code: 7, message: '', detail: 5 }, 'the server answered 422'],
    [['nothing', 'known'], 'the server answered 422'],
    [null, 'the server answered 422'],
  ])('%j: the words it has', async (body, message) => {
    expect(await refused(body)).toMatchObject({ message })
  })

  test('no more than the status where a proxy sends a page, or nothing', async () => {
    const status = { status: 502, statusText: 'Bad Gateway' }
    const page = () => new Response('<html><h1>502 Bad Gateway</h1></html>', status)
    const facts = { message: 'the server answered 502 Bad Gateway', code: 'http_502' }
    expect(await errorOf(page)).toMatchObject(facts)
    expect(await errorOf(() => new Response(null, status))).toMatchObject(facts)
  })

  test('when to come again', async () => {
    const busy = (value: string) =>
      errorOf(() => new Response('{}', { status: 503, headers: { 'retry-after': value } }))
    expect(await busy('2')).toMatchObject({ retryAfterSeconds: 2 })
    expect(await busy('Sat, 31 Jan 2026 12:00:00 GMT')).toMatchObject({ retryAfterSeconds: null })
    expect(await refused({})).toMatchObject({ retryAfterSeconds: null })
  })
})

describe('no answer', () => {
  const servers: Server[] = []
  afterEach(async () => {
    vi.useRealTimers()
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    }
  })

  async function listening(server: Server): Promise<string> {
    servers.push(server)
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  const failure = (url: string) =>
    new RunqueueClient({ url }).health().catch((error: unknown) => error)

  test('because nothing listens there', async () => {
    const url = await listening(createServer())
    await new Promise((closed) => servers.pop()?.close(closed))
    const error = await failure(url)
    expect(error).toBeInstanceOf(ConnectionError)
    expect((error as Error).message).toBe(
      `cannot reach runqueue at ${url}: the connection was refused, nothing listens there`,
    )
  })

  test('because the connection broke', async () => {
    const url = await listening(createServer((request) => request.socket.destroy()))
    expect(await failure(url)).toMatchObject({
      message: `cannot reach runqueue at ${url}: the connection broke`,
    })
  })

  test('because something else answers', async () => {
    const { client } = answeredWith(() => new Response('<html>hello</html>'))
    const error = await client.health().catch((error: unknown) => error)
    expect(error).toBeInstanceOf(ConnectionError)
    expect((error as Error).message).toContain('not in JSON')
  })

  /** Never answers, as fetch does: it ends when its signal says so. */
  const silent: typeof fetch = (_, init) =>
    new Promise((_, reject) => {
      const { signal } = init ?? {}
      signal?.addEventListener('abort', () => reject(signal.reason))
      if (signal?.aborted) reject(signal.reason)
    })
  const silentClient = new RunqueueClient({ url: URL_OF_TESTS, fetch: silent, retries: 0 })

  test('in time: half a minute, and as much longer as the question itself waits', async () => {
    vi.useFakeTimers()
    const error = silentClient.getRun('run_1', { waitSeconds: 20 }).catch((error: unknown) => error)
    let settled = false
    void error.then(() => {
      settled = true
    })
    await vi.advanceTimersByTimeAsync(49_900)
    expect(settled).toBe(false)
    await vi.advanceTimersByTimeAsync(200)
    expect(await error).toBeInstanceOf(ConnectionError)
    expect(await error).toMatchObject({
      message: `cannot reach runqueue at ${URL_OF_TESTS}: no answer within 50s`,
    })
  })

  test('that the caller wants any more: its own reason comes back', async () => {
    const reason = new Error('enough')
    const late = new AbortController()
    const asking = silentClient.getRun('run_1', { signal: late.signal })
    late.abort(reason)
    await expect(asking).rejects.toBe(reason)
    await expect(silentClient.listRunners(AbortSignal.abort(reason))).rejects.toBe(reason)
  })

  test('leaves nothing on the signal of a caller that goes on', async () => {
    const { client } = answeredWith(() => Response.json({ runs: [] }))
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, 'addEventListener')
    const removed = vi.spyOn(signal, 'removeEventListener')
    await client.claimRuns({ runner_id: 'lnch_1' }, signal)
    expect(added).toHaveBeenCalledTimes(1)
    expect(removed.mock.calls[0]?.[1]).toBe(added.mock.calls[0]?.[1])
  })
})
