/** What a server does to clients that are slow, or too many. */
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:net'
import { Hono } from 'hono'
import { expect, onTestFinished, test } from 'vitest'
import type { App } from '../../src/http/app.ts'
import { createHttpServer, type HttpServerOptions } from '../../src/http/server.ts'
import { apiOf } from '../http/support/api.ts'
import { rawConnection, request } from '../http/support/raw.ts'
import { startHere } from './in-process.ts'

/** An answer that has begun, and goes on. */
const beginning = () =>
  new ReadableStream({ start: (answer) => answer.enqueue(new TextEncoder().encode('first')) })

/** @param slow what the answer to GET /slow waits for */
async function listening(
  options: Partial<HttpServerOptions> = {},
  slow?: Promise<unknown>,
): Promise<string> {
  const app: App = new Hono()
  app.onError((_, c) => c.text('broken off', 400))
  app.get('/', (c) => c.text('hello'))
  app.post('/', async (c) => c.text(await c.req.text()))
  app.get('/slow', async (c) => {
    await slow
    return c.text('hello')
  })
  app.get('/stream', () => new Response(beginning()))
  const server = createHttpServer(app.fetch, {
    maxConnections: 100,
    onTooMany: () => {},
    ...options,
  })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const SHORT = {
  headersTimeout: 100,
  requestTimeout: 300,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 20,
}

test.each([
  ['headers that never end', 'GET / HTTP/1.1\r\nHost: localhost\r\n'],
  ['a body that never comes', 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nx'],
  ['a connection that asks nothing', ''],
])('%s: it is cut', async (_, begin) => {
  const { socket, write, answer } = await rawConnection(await listening({ timeouts: SHORT }))
  // A drop now and then does not help.
  write(begin)
  const drip = setInterval(() => begin && write('x'), 30)
  const { status, body } = await answer().finally(() => clearInterval(drip))
  if (begin) {
    expect(status).toBe(408)
    expect(JSON.parse(body)).toMatchObject({
      code: 'request_timeout',
      message: expect.stringContaining('0.1 s, all of it 0.3 s'),
    })
  }
  if (!socket.closed) await once(socket, 'close')
})

test.each([
  ['what is no HTTP', 'nonsense\r\n\r\n', 400, 'malformed_request'],
  [
    'a header that is no header',
    'GET / HTTP/1.1\r\nHost localhost\r\n\r\n',
    400,
    'malformed_request',
  ],
  [
    'headers that are too long',
    request('GET', '/', '', [`X: ${'x'.repeat(17_000)}`]),
    431,
    'headers_too_large',
  ],
])('%s is refused as all is, in words', async (_, text, status, code) => {
  const { socket, write, answer } = await rawConnection(await listening())
  // Of a connection that was in use, too.
  write(request('GET', '/'))
  expect(await answer()).toMatchObject({ status: 200 })
  write(text)
  const refused = await answer()
  const { message, ...body } = JSON.parse(refused.body)
  expect({ status: refused.status, ...body }).toEqual({ status, code, detail: message })
  if (!socket.closed) await once(socket, 'close')
})

test('nonsense within an answer that has begun ends the answer, and is no part of it', async () => {
  const { socket, write } = await rawConnection(await listening())
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  write(request('GET', '/stream'))
  while (!received.includes('first')) await once(socket, 'data')
  write('nonsense\r\n\r\n')
  await once(socket, 'close')
  expect(received).not.toContain('malformed_request')
})

test('an answer may take longer than all that', async () => {
  let answerSlow = () => {}
  const slow = new Promise<void>((resolve) => {
    answerSlow = resolve
  })
  // Both come whole in that time, however busy the machine is; one then waits for the other's end.
  const timeouts = { ...SHORT, headersTimeout: 1000, requestTimeout: 1000 }
  const url = await listening({ timeouts }, slow)
  const { write, answer } = await rawConnection(url)
  write('GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const silent = await rawConnection(url)
  if (!silent.socket.closed) await once(silent.socket, 'close')
  answerSlow()
  expect(await answer()).toMatchObject({ status: 200, body: 'hello' })
})

async function connected(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

test('connections beyond the maximum get 503 and are closed, others go on', async () => {
  let told = 0
  const url = await listening({
    maxConnections: 2,
    onTooMany: () => {
      told += 1
    },
  })
  const first = await rawConnection(url)
  first.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(first.socket, 'data')
  const second = await connected(url)
  for (let n = 0; n < 3; n += 1) {
    const third = await rawConnection(url)
    third.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const { status, head, body } = await third.answer()
    expect(status).toBe(503)
    expect(head).toMatch(/retry-after: 1/i)
    expect(JSON.parse(body)).toMatchObject({ code: 'too_many_connections' })
    if (!third.socket.closed) await once(third.socket, 'close')
  }
  expect(told).toBe(1)
  first.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await once(first.socket, 'data')
  second.destroy()
  await once(second, 'close')
  await expect
    .poll(() =>
      fetch(url).then(
        ({ status }) => status,
        () => 0,
      ),
    )
    .toBe(200)
})

test('HTTP_MAX_CONNECTIONS and HTTP_MAX_WAITING reach the server', async () => {
  const { url } = await startHere({ HTTP_MAX_CONNECTIONS: '1' })
  const ask = 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'
  for (const status of [200, 503]) {
    const { write, answer } = await rawConnection(url)
    write(ask)
    expect((await answer()).status).toBe(status)
  }

  const { get, post } = apiOf((await startHere({ HTTP_MAX_WAITING: '0' })).url)
  const { body } = await post('/runs', { type: 'start_session', prompt: 'hello' })
  expect((await get(`/runs/${body['run_id']}?wait=30`)).status).toBe(503)
})
