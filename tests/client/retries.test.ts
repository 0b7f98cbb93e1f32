/** Calls that are made again, and those that are not. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { ApiError, ConnectionError, RunqueueClient } from '../../src/client/index.ts'

afterEach(() => vi.useRealTimers())

const RUN = { type: 'start_session', prompt: 'hello' } as const
const broken = () => Promise.reject(new TypeError('fetch failed'))
const busy = (seconds: string) => async () =>
  Response.json(
    { code: 'database_busy', message: 'busy', detail: 'busy' },
    { status: 503, headers: { 'retry-after': seconds } },
  )
const added = async () => Response.json({ run_id: 'run_1' }, { status: 201 })

interface Asked {
  key: string | null
  body: { runs?: { idempotency_key?: string }[] } | undefined
  at: number
}

/** A client whose questions get these answers in turn, the last one again and again. */
function answeredWith(...answers: (() => Promise<Response>)[]) {
  vi.useFakeTimers()
  const asked: Asked[] = []
  const client = new RunqueueClient({
    url: 'http://queue.test:1',
    fetch: (_, init) => {
      const body = init?.body === undefined ? undefined : JSON.parse(String(init.body))
      asked.push({ key: new Headers(init?.headers).get('idempotency-key'), body, at: Date.now() })
      const answer = answers.length > 1 ? answers.shift() : answers[0]
      return answer ? answer() : broken()
    },
  })
  return { client, asked }
}

/** Time goes on until it is settled. */
async function settled<T>(call: Promise<T>): Promise<T | Error> {
  const outcome = call.catch((error: Error) => error)
  let isOver = false
  void outcome.then(() => {
    isOver = true
  })
  while (!isOver) await vi.advanceTimersByTimeAsync(100)
  return await outcome
}

describe('a run is added again', () => {
  test('with the same key, where the connection broke', async () => {
    const { client, asked } = answeredWith(broken, broken, added)
    expect(await settled(client.addRun(RUN))).toEqual({ run_id: 'run_1' })
    expect(asked).toHaveLength(3)
    expect(asked[0]?.key).toMatch(/^[0-9a-f-]{36}$/)
    expect(new Set(asked.map(({ key }) => key)).size).toBe(1)
  })

  test('when the server says, where it is busy', async () => {
    const { client, asked } = answeredWith(busy('2'), added)
    expect(await settled(client.addRun(RUN))).toEqual({ run_id: 'run_1' })
    expect((asked[1]?.at ?? 0) - (asked[0]?.at ?? 0)).toBeGreaterThanOrEqual(2000)
  })

  test('under the key that the caller gave', async () => {
    const { client, asked } = answeredWith(broken, added)
    await settled(client.addRun({ ...RUN, idempotency_key: 'mine' }))
    expect(asked.map(({ key, body }) => [key, body])).toEqual([
      [null, { ...RUN, idempotency_key: 'mine' }],
      [null, { ...RUN, idempotency_key: 'mine' }],
    ])
  })

  test('and so is a batch, each run under a key of its own', async () => {
    const { client, asked } = answeredWith(broken, added)
    await settled(client.addRuns([RUN, RUN]))
    expect(asked[0]?.body).toEqual(asked[1]?.body)
    const keys = asked[0]?.body?.runs?.map(({ idempotency_key }) => idempotency_key)
    expect(new Set(keys).size).toBe(2)
  })

  test('so often and no more', async () => {
    const { client, asked } = answeredWith(broken)
    expect(await settled(client.addRun(RUN))).toBeInstanceOf(ConnectionError)
    expect(asked).toHaveLength(4)
  })

  test('not after a refusal for good, nor when it would have to wait for long', async () => {
    const refused = async () => Response.json({ code: 'session_exists' }, { status: 409 })
    for (const answer of [refused, busy('600')]) {
      const { client, asked } = answeredWith(answer, added)
      expect(await settled(client.addRun(RUN))).toBeInstanceOf(ApiError)
      expect(asked).toHaveLength(1)
    }
  })

  test('not once the caller has enough', async () => {
    const { client, asked } = answeredWith(broken)
    const enough = new AbortController()
    const call = client.addRun(RUN, { signal: enough.signal }).catch((error: unknown) => error)
    await vi.advanceTimersByTimeAsync(0)
    const reason = new Error('enough')
    enough.abort(reason)
    expect(await call).toBe(reason)
    expect(asked).toHaveLength(1)
  })
})

test.each([
  ['retryRun', (client: RunqueueClient) => client.retryRun('run_1')],
  ['claimRuns without a key', (client) => client.claimRuns({ runner_id: 'lnch_1' })],
  ['pollRuns', (client) => client.pollRuns('lnch_1')],
  ['addSessionEvent', (client) => client.addSessionEvent('ses_1', EVENT)],
] as [string, (client: RunqueueClient) => Promise<unknown>][])(
  '%s is not made again: it would do more than once',
  async (_, call) => {
    const { client, asked } = answeredWith(broken)
    expect(await settled(call(client))).toBeInstanceOf(ConnectionError)
    expect(asked).toHaveLength(1)
  },
)

const EVENT = { event_type: 'message', timestamp: '2026-01-31T12:00:00.000Z' }

test('a wait for the end of a run asks again until it ended', async () => {
  const run = (completed_at: string | null) => async () => Response.json({ completed_at })
  const { client, asked } = answeredWith(run(null), run(null), run('2026-01-31T12:00:00.000Z'))
  expect(await settled(client.waitForRun('run_1'))).toMatchObject({
    completed_at: '2026-01-31T12:00:00.000Z',
  })
  expect(asked).toHaveLength(3)
})
