/** The client over Node's own HTTP, as commands and the runner have it, does what it does over fetch. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { httpFetch } from '../../src/client/http-fetch.ts'
import { RunqueueClient } from '../../src/client/index.ts'

async function listening(answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const clientOf = (url: string) => new RunqueueClient({ url, fetch: httpFetch, retries: 0 })

test('what is asked and answered, letters of all kinds in any pieces', async () => {
  const url = await listening(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const { method, url: path, headers } = request
    const body = Buffer.concat(parts).toString()
    const answer = Buffer.from(
      JSON.stringify({ method, path, type: headers['content-type'], body }),
    )
    for (const byte of answer) response.write(Buffer.of(byte))
    response.end()
  })
  const run = { type: 'start_session', prompt: 'Grüße, 世界 🌍' } as const
  expect(await clientOf(url).addRun({ ...run, idempotency_key: 'key' })).toEqual({
    method: 'POST',
    path: '/runs',
    type: 'application/json',
    body: JSON.stringify({ ...run, idempotency_key: 'key' }),
  })
})

test('a refusal: its status, its words and when to come again', async () => {
  const url = await listening((_, response) => {
    response.writeHead(503, { 'retry-after': '7' }).end('{"code":"queue_full","message":"full"}')
  })
  await expect(clientOf(url).listRuns()).rejects.toMatchObject({
    ...{ name: 'ApiError', status: 503, code: 'queue_full', retryAfterSeconds: 7 },
  })
})

test('nothing listens there, or the connection breaks', async () => {
  await expect(clientOf('http://127.0.0.1:1').listRuns()).rejects.toThrow(
    'the connection was refused',
  )
  const url = await listening((request) => request.socket.destroy())
  await expect(clientOf(url).listRuns()).rejects.toThrow('the connection broke')
  const half = await listening((request, response) => {
    response.writeHead(200, { 'content-length': '9' })
    response.write('{', () => request.socket.destroy())
  })
  await expect(clientOf(half).listRuns()).rejects.toThrow('the connection broke')
})

test.each([
  ['before the answer', () => {}],
  [
    'in the midst of it',
    (_request, response) => {
      response.writeHead(200, { 'content-length': '9' })
      response.write('{')
    },
  ],
] satisfies [string, RequestListener][])('given up %s, the reason is thrown', async (_, begin) => {
  const stop = new AbortController()
  const url = await listening((request, response) => {
    begin(request, response)
    setImmediate(() => stop.abort(new Error('enough')))
  })
  await expect(clientOf(url).getRun('run_1', { signal: stop.signal })).rejects.toThrow('enough')
  await expect(clientOf(url).getRun('run_1', { signal: stop.signal })).rejects.toThrow('enough')
})

test('sent elsewhere it goes there', async () => {
  const there = await listening((_, response) => response.end('{"status":"healthy"}'))
  const url = await listening(({ url: path }, response) => {
    response.writeHead(307, { location: there + path }).end()
  })
  expect(await clientOf(url).health()).toEqual({ status: 'healthy' })
})

test('events are followed, and left', async () => {
  const url = await listening((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('id: 1\ndata: {"event_id":1}\n\n')
  })
  for await (const { event_id } of clientOf(url).events()) {
    expect(event_id).toBe(1)
    break
  }
})
