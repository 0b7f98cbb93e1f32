/** The iterator over GET /events, against a server that does as it is told. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { ApiError, RunqueueClient } from '../../src/client/index.ts'

type Part = (request: IncomingMessage, response: ServerResponse) => void

/** Each connection is answered by the next part; more are left waiting. */
async function playing(...parts: Part[]) {
  const asked: { url: string | undefined; lastEventId: unknown }[] = []
  const server = createServer((request, response) => {
    asked.push({ url: request.url, lastEventId: request.headers['last-event-id'] })
    parts.shift()?.(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { client: new RunqueueClient({ url }), asked }
}

const event = (id: number) => ({ event_id: id, run_id: 'run_1', to_status: 'running' })
const frame = (id: number) => `id: ${id}\nevent: running\ndata: ${JSON.stringify(event(id))}\n\n`
const stream =
  (write: (response: ServerResponse) => void): Part =>
  (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    write(response)
  }

async function first(count: number, client: RunqueueClient, query = {}): Promise<number[]> {
  const ids: number[] = []
  for await (const { event_id } of client.events(query)) {
    ids.push(event_id)
    if (ids.length === count) break
  }
  return ids
}

test('events come as they are written, whatever pieces they come in', async () => {
  const pieces = stream((response) => {
    const text = `: hello\r\n\r\n${frame(1).replaceAll('\n', '\r\n')}: still here\n\n${frame(2)}`
    const letters = [...text]
    const next = () => {
      const letter = letters.shift()
      if (letter !== undefined) response.write(letter, () => setImmediate(next))
    }
    next()
  })
  const { client, asked } = await playing(pieces)
  const query = { run_id: 'run_1', status: ['running', 'failed'] as const }
  expect(await first(2, client, query)).toEqual([1, 2])
  expect(asked).toEqual([{ url: '/events?run_id=run_1&status=running%2Cfailed' }])
})

test('a stream that ends or breaks is taken up behind the last event that was whole', async () => {
  const { client, asked } = await playing(
    stream((response) => response.end(frame(1))),
    stream((response) => {
      response.write(frame(2) + frame(3).slice(0, -2), () => response.destroy())
    }),
    (_, response) => response.writeHead(502).end('<html>'),
    stream((response) => response.write(frame(3))),
  )
  expect(await first(3, client, { last_event_id: 'before' })).toEqual([1, 2, 3])
  expect(asked.map(({ lastEventId }) => lastEventId)).toEqual(['before', '1', '2', '2'])
})

test('a refusal for good ends it', async () => {
  const { client, asked } = await playing((_, response) => {
    response.writeHead(403).end(JSON.stringify({ code: 'insufficient_scope', message: 'no' }))
  })
  const error = await first(1, client).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(ApiError)
  expect(error).toMatchObject({ code: 'insufficient_scope' })
  expect(asked).toHaveLength(1)
})

test('the caller may leave: by a break, or with a signal whose reason comes back', async () => {
  const closed: Promise<unknown>[] = []
  const open: Part = (request, response) => {
    closed.push(new Promise((resolve) => response.once('close', resolve)))
    stream((each) => each.write(frame(1)))(request, response)
  }
  const { client } = await playing(open, open)
  expect(await first(1, client)).toEqual([1])
  const leave = new AbortController()
  const reason = new Error('enough')
  const iterating = (async () => {
    for await (const _ of client.events({ signal: leave.signal })) leave.abort(reason)
  })()
  await expect(iterating).rejects.toBe(reason)
  await Promise.all(closed)
})
