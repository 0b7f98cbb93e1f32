import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { ApiError, ConnectionError } from '../../src/client/index.ts'
import { isRefusal, pauseSeconds, untilAnswered } from '../../src/runner/backoff.ts'
import type { RunnerEvent } from '../../src/runner/events.ts'

const backoff = { first_seconds: 0.25, most_seconds: 5 }

function apiError(status: number, retryAfterSeconds: number | null = null) {
  const body = { code: 'scripted', message: `answered ${status}`, detail: null }
  return new ApiError(status, body, retryAfterSeconds)
}

/** Rejects with each error in turn, then resolves to 'answer'. */
function failing(...errors: unknown[]) {
  return async () => {
    if (errors.length === 0) return 'answer'
    throw errors.shift()
  }
}

function patience(most_seconds = 0.002) {
  const events: RunnerEvent[] = []
  const abort = new AbortController()
  return {
    events,
    abort,
    signal: abort.signal,
    backoff: { first_seconds: 0.001, most_seconds },
    log: (event: RunnerEvent) => void events.push(event),
  }
}

test('pauses double up to the longest', () => {
  const pauses = [0, 1, 2, 3, 4, 5, 1000].map((attempt) => pauseSeconds(backoff, attempt, 1))
  expect(pauses).toEqual([0.25, 0.5, 1, 2, 4, 5, 5])
})

test('chance takes off up to a half', () => {
  expect(pauseSeconds(backoff, 2, 0)).toBe(0.5)
  expect(pauseSeconds(backoff, 2, 0.5)).toBe(0.75)
})

test.each([
  [400, true],
  [401, true],
  [404, true],
  [409, true],
  [422, true],
  [408, false],
  [425, false],
  [429, false],
  [500, false],
  [503, false],
])('%i is a refusal: %s', (status, expected) => {
  expect(isRefusal(apiError(status))).toBe(expected)
})

test('logs a failure once, again when its reason changes, and the recovery', async () => {
  const lost = new ConnectionError('http://there', new Error('gone'))
  const { events, ...rest } = patience()
  const call = failing(lost, lost, apiError(503), apiError(503), lost)
  expect(await untilAnswered(call, { what: 'ask' }, rest)).toBe('answer')
  expect(events.map((each) => each.message)).toEqual([
    'cannot ask: cannot reach runqueue at http://there: gone; trying again',
    'cannot ask: answered 503; trying again',
    'cannot ask: cannot reach runqueue at http://there: gone; trying again',
    'could ask after all',
  ])
})

test('waits as long as the server asks for, within reason', async () => {
  const began = performance.now()
  await untilAnswered(failing(apiError(503, 0.05)), { what: 'ask' }, patience(0.2))
  const asked = performance.now()
  expect(asked - began).toBeGreaterThan(45)
  await untilAnswered(failing(apiError(503, 3600)), { what: 'ask' }, patience(0.05))
  expect(performance.now() - asked).toBeGreaterThan(45)
})

test('a refusal ends it', async () => {
  const { events, ...rest } = patience()
  await expect(untilAnswered(failing(apiError(409)), { what: 'ask' }, rest)).rejects.toThrow(
    'answered 409',
  )
  expect(events).toEqual([])
})

test('the signal ends it, in a pause and in the middle of a call', async () => {
  const pausing = { ...patience(), backoff: { first_seconds: 1000, most_seconds: 1000 } }
  const inPause = untilAnswered(failing(apiError(503)), { what: 'ask' }, pausing)
  await expect.poll(() => pausing.events.length).toBe(1)
  pausing.abort.abort()
  await expect(inPause).rejects.toThrow('aborted')

  const calling = patience()
  await untilAnswered(failing(), { what: 'ask' }, calling)
  expect(getEventListeners(calling.signal, 'abort')).toEqual([])
  const inCall = untilAnswered(() => new Promise(() => {}), { what: 'ask' }, calling)
  calling.abort.abort()
  await expect(inCall).rejects.toThrow('aborted')
})
