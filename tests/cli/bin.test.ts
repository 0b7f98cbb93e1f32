/** The command as a process: signals, pipes, sockets. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { BIN } from '../server/process.ts'
import { aRun } from './harness.ts'

const ID = 'run_000000000001'

const servers = new Set<Server>()
const children = new Set<ChildProcessByStdio<null, Readable, Readable>>()
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
  for (const server of servers) await close(server)
})

async function listen(
  answer: RequestListener,
  port = 0,
): Promise<{ server: Server; port: number }> {
  const server = createServer(answer)
  servers.add(server)
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

async function close(server: Server): Promise<void> {
  servers.delete(server)
  server.closeAllConnections()
  await new Promise((closed) => server.close(closed))
}

function start(port: number, ...args: string[]) {
  const child = spawn(process.execPath, [BIN, ...args], {
    env: { ...process.env, RUNQUEUE_URL: `http://127.0.0.1:${port}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.add(child)
  const exit = once(child, 'close').then(([code]) => code as number | null)
  return { child, exit }
}

const json =
  (value: unknown): RequestListener =>
  (_, answer) => {
    answer.setHeader('content-type', 'application/json').end(JSON.stringify(value))
  }

const many = Array.from({ length: 1_000 }, () => aRun({ prompt: 'x'.repeat(500) }))
const manyRuns = json({ runs: many, next_cursor: null })

test('a reader that has seen enough ends it without a word', async () => {
  const { port } = await listen(manyRuns)
  const { child, exit } = start(port, 'list', '--json')
  const errors = text(child.stderr)
  await once(child.stdout, 'data')
  child.stdout.destroy()
  expect({ code: await exit, errors: await errors }).toEqual({ code: 0, errors: '' })
})

test('a slow reader gets everything', async () => {
  const { port } = await listen(manyRuns)
  const { child, exit } = start(port, 'list', '--json')
  await once(child.stdout, 'readable')
  const { runs } = JSON.parse(await text(child.stdout))
  expect({ code: await exit, count: runs.length }).toEqual({ code: 0, count: many.length })
})

test('Ctrl-C while it waits: it hangs up and exits with 130', async () => {
  const asked: { path: string; gone: Promise<unknown> }[] = []
  let looked = () => {}
  const looking = new Promise<void>((resolve) => {
    looked = resolve
  })
  const { port } = await listen((request, answer) => {
    const path = request.url ?? ''
    if (path.includes('wait=')) {
      asked.push({ path, gone: once(answer, 'close') })
      looked()
    } else if (path === '/runners') json({ runners: [] })(request, answer)
    else json(aRun({ status: 'running' }))(request, answer)
  })
  const { child, exit } = start(port, 'wait', ID)
  const errors = text(child.stderr)
  await looking
  child.kill('SIGINT')
  await asked[0]?.gone
  expect(await exit).toBe(130)
  expect(await errors).toContain('interrupted; the run goes on')
})

test('a server that is stopped and started again is found again', async () => {
  const { server, port } = await listen((request, answer) => {
    if (request.url?.includes('wait=')) void close(server)
    else if (request.url === '/runners') json({ runners: [] })(request, answer)
    else json(aRun({ status: 'running' }))(request, answer)
  })
  const { child, exit } = start(port, 'wait', ID)
  const output = text(child.stdout)
  let log = ''
  await new Promise<void>((lost) => {
    child.stderr.setEncoding('utf8').on('data', (piece) => {
      log += piece
      if (log.includes('trying again')) lost()
    })
  })
  const result = { text: 'back again', data: null }
  await listen(json(aRun({ status: 'completed', result })), port)
  expect({ code: await exit, output: await output }).toEqual({ code: 0, output: 'back again\n' })
})

test('nobody to read the status lines is no reason to stop', async () => {
  const result = { text: 'done', data: null }
  const { port } = await listen(json(aRun({ status: 'completed', result })))
  const { child, exit } = start(port, 'wait', ID)
  child.stderr.destroy()
  const output = text(child.stdout)
  expect({ code: await exit, output: await output }).toEqual({ code: 0, output: 'done\n' })
})
