/** A runner against a fake server, both gone when the test ends. */
import { readFileSync } from 'node:fs'
import { onTestFinished } from 'vitest'
import type { RunnerEvent } from '../../src/runner/events.ts'
import type { RunnerOptions } from '../../src/runner/options.ts'
import { type RunnerHandle, startRunner } from '../../src/runner/runner.ts'
import { FakeServer } from './fake-server.ts'

export interface Harness extends RunnerHandle {
  server: FakeServer
  events: RunnerEvent[]
}

export async function fakeServer(): Promise<FakeServer> {
  const server = new FakeServer()
  await server.listen()
  onTestFinished(() => server.close())
  return server
}

/** Retries at once, unless the test says otherwise. */
export function runnerOn(server: FakeServer, options: Partial<RunnerOptions> = {}): Harness {
  const events: RunnerEvent[] = []
  const runner = startRunner({
    url: server.url,
    command: ['cat'],
    backoff: { first_seconds: 0.005, most_seconds: 0.02 },
    log: (event) => events.push(event),
    ...options,
  })
  onTestFinished(async () => {
    runner.kill()
    await runner.drained.catch(() => {})
  })
  return { ...runner, server, events }
}

export async function harness(options: Partial<RunnerOptions> = {}): Promise<Harness> {
  return runnerOn(await fakeServer(), options)
}

/** A command in JavaScript; `signal(name)` tells the fake server that it has come this far. */
export function script(body: string): [string, ...string[]] {
  const signal = `const signal = (name) =>
    fetch(process.env.RUNQUEUE_URL + '/signal/' + name, { method: 'POST' });`
  return [process.execPath, '-e', `${signal}${body}`]
}

/** Comes up, signals its process id, and stays until killed; `onTerm` is what SIGTERM leads to. */
export const staying = (onTerm = 'process.exit(0)') =>
  script(
    `process.on('SIGTERM', () => { ${onTerm} }); setInterval(() => {}, 1000); signal(process.pid)`,
  )

/** Whether the process is at work; one that ended but was not yet waited for is not. */
export function isAtWork(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
