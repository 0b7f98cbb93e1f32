/** Live streams of a server process that is killed, and that runs change at another. */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { RunqueueClient } from '../../src/client/index.ts'
import { readServerSentEvents } from '../../src/client/server-sent-events.ts'
import { apiOf } from '../http/support/api.ts'
import type { Added } from '../http/support/service.ts'
import { tempDir } from '../support/temp-dir.ts'
import { startHere } from './in-process.ts'
import { startServe } from './process.ts'

const RUNS = 120
/** Each is added, and then stopped. */
const CHANGES = 2 * RUNS
const BEGINNING = '0000000000000-ini-000'
const SILENCE_MS = 10_000

/** As `client.events()` does for runs: comes again with the last id that it has, however often. */
async function* sessionChanges(url: string, lastId: string): AsyncGenerator<string> {
  for (let id = lastId; ; ) {
    try {
      const { body } = await fetch(`${url}/sse/sessions`, { headers: { 'last-event-id': id } })
      if (!body) throw new Error('no stream')
      for await (const event of readServerSentEvents(body, SILENCE_MS)) {
        if (event.id === null) continue
        id = event.id
        yield id
      }
    } catch {
      // It is gone, and will be back.
    }
    await setTimeout(100)
  }
}

async function take<T>(count: number, from: AsyncIterable<T>, onEach = (_: T[]) => {}) {
  const taken: T[] = []
  for await (const one of from) {
    taken.push(one)
    onEach(taken)
    if (taken.length === count) break
  }
  return taken
}

test('whoever follows a server that is killed has everything once, in order', async () => {
  const folder = tempDir()
  const mine = await startServe({ folder })
  const other = await startHere({ DATABASE_URL: `file:${join(folder, 'data', 'runqueue.db')}` })
  const [url, there] = [mine.url, apiOf(other.url)]
  // Sessions are written down from when somebody follows them.
  const opened = await fetch(`${url}/sse/sessions`)
  await opened.body?.cancel()

  let halfway = () => {}
  const half = new Promise<void>((resolve) => {
    halfway = resolve
  })
  const client = new RunqueueClient({ url })
  const runs = take(CHANGES, client.events({ last_event_id: 0 }), ({ length }) => {
    if (length === RUNS / 2) halfway()
  })
  const sessions = take(CHANGES, sessionChanges(url, BEGINNING))
  const changing = (async () => {
    for (let i = 0; i < RUNS; i++) {
      const run = { type: 'start_session', prompt: 'hello' }
      const { run_id } = (await there.post<Added>('/runs', run)).body
      expect((await there.post(`/runs/${run_id}/stop`)).status).toBe(200)
    }
  })()
  await half
  mine.kill('SIGKILL')
  await mine.ended
  await startServe({ folder, args: ['--port', new URL(url).port] })
  await changing

  const seen = await runs
  const others = new RunqueueClient({ url: other.url })
  expect(seen).toEqual(await take(CHANGES, others.events({ last_event_id: 0 })))
  expect(new Set(seen.map(({ event_id }) => event_id)).size).toBe(CHANGES)
  const told = await sessions
  expect(told).toEqual(await take(CHANGES, sessionChanges(other.url, BEGINNING)))
  expect(new Set(told).size).toBe(CHANGES)
})
