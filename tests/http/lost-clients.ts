/** Clients that go away while they wait, or between the claim and its answer. */
import { EventEmitter, once } from 'node:events'
import type { Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { ClaimedRunView } from '../../src/http/views.ts'
import type { Engine } from '../../src/queue/engine.ts'
import { rawConnection, request } from './support/raw.ts'
import type { Claimed, Service, Setup } from './support/service.ts'

interface RunAnswer {
  run: ClaimedRunView
}

const WAITING = { config: { pollTimeoutSeconds: 30 } }
const PATH = '/runner/runs/claim'

/** The ways to poll, as bytes. */
const POLLS: [string, (runner_id: string) => string][] = [
  ['GET', (runner_id) => request('GET', `/runner/runs?runner_id=${runner_id}`)],
  ['POST', (runner_id) => request('POST', PATH, JSON.stringify({ runner_id, wait_seconds: 30 }))],
  [
    'POST in chunks',
    (runner_id) => {
      const body = JSON.stringify({ runner_id, wait_seconds: 30 })
      const headers = ['Content-Type: application/json', 'Transfer-Encoding: chunked']
      const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
      return request('POST', PATH, '', headers) + chunks
    },
  ],
]

/** After each claim that found something, `then` is awaited before the poll hears of it. */
function afterClaims(then: () => Promise<void>) {
  return ({ runs, ...engine }: Engine): Engine => ({
    ...engine,
    runs: {
      ...runs,
      async poll(...args) {
        const found = await runs.poll(...args)
        if (found.kind === 'runs') await then()
        return found
      },
    },
  })
}

/** The ends of the next connection. */
async function connectionTo({ url, server }: Service) {
  const accepted = once(server, 'connection')
  const client = await rawConnection(url)
  const [socket] = (await accepted) as [Socket]
  return { client, closed: new Promise<void>((closed) => socket.once('close', () => closed())) }
}

/** Stands for a connection whose end shows only after the answer. */
function lateBreak() {
  const incoming = { socket: { destroyed: false } }
  const outgoing = Object.assign(new EventEmitter(), { destroyed: false })
  const breakOff = () => {
    incoming.socket.destroyed = true
    outgoing.emit('close')
  }
  return { bindings: { incoming, outgoing } as never, breakOff }
}

export function describeLostClients(setup: Setup): void {
  test.each(POLLS)('%s: gone while it waits, it gets nothing', async (_, poll) => {
    const service = await setup(WAITING)
    const { client, closed } = await connectionTo(service)
    const runner_id = await service.register()
    await service.waiting(() => client.write(poll(runner_id)))
    const other = await service.register({ hostname: 'b' })
    const { answer: next } = await service.waiting(() => service.poll<RunAnswer>(other))
    client.socket.destroy()
    await closed
    const { run_id } = await service.addRun()
    expect((await next).body.run).toMatchObject({ run_id, attempt: 1 })
  })

  test.each(POLLS)('%s: gone between claim and answer, the run goes back', async (_, poll) => {
    let breakOff = async () => {}
    const service = await setup({ ...WAITING, wrap: afterClaims(() => breakOff()) })
    const { client, closed } = await connectionTo(service)
    breakOff = async () => {
      breakOff = async () => {}
      client.socket.destroy()
      await closed
    }
    const runner_id = await service.register()
    await service.waiting(() => client.write(poll(runner_id)))
    const other = await service.register({ hostname: 'b' })
    const { answer: next } = await service.waiting(() => service.poll<RunAnswer>(other))
    const { run_id } = await service.addRun()
    expect((await next).body.run).toMatchObject({ run_id, attempt: 1 })
  })

  test('gone before it has read the answer, all its runs go back', async () => {
    const service = await setup()
    // Told twice of each run, which is more than the buffers between the two take.
    const prompt = 'x'.repeat(4_500_000)
    const added = [1, 2, 3].map(() => service.addRun({ prompt }))
    const run_ids = (await Promise.all(added)).map(({ run_id }) => run_id)
    const { client, closed } = await connectionTo(service)
    client.socket.pause()
    client.write(
      request('POST', PATH, JSON.stringify({ runner_id: await service.register(), limit: 3 })),
    )
    // By their histories, which are read at once where the runs are not.
    const statuses = async () => {
      const told = run_ids.map((run_id) => service.engine.runs.events(run_id, { limit: 10 }))
      return (await Promise.all(told)).map(({ events }) => events.at(-1)?.to_status)
    }
    await expect.poll(statuses).toEqual(['claimed', 'claimed', 'claimed'])
    client.socket.destroy()
    await closed
    await expect.poll(statuses).toEqual(['pending', 'pending', 'pending'])
  })

  test('an answer that went out is not taken back', async () => {
    const service = await setup()
    const { client, closed } = await connectionTo(service)
    const runner_id = await service.register()
    const { run_id } = await service.addRun()
    client.write(request('GET', `/runner/runs?runner_id=${runner_id}`))
    expect(JSON.parse((await client.answer()).body)).toMatchObject({ run: { run_id } })
    client.socket.destroy()
    await closed
    await service.get('/health')
    expect((await service.run(run_id)).status).toBe('claimed')
  })

  test('a run whose runner made its claim anew stays with it', async () => {
    const service = await setup()
    const runner_id = await service.register()
    await service.addRun()
    const { bindings, breakOff } = lateBreak()
    const claim = { runner_id, claim_key: 'c1' }
    const init = {
      ...{ method: 'POST', body: JSON.stringify(claim) },
      headers: { 'content-type': 'application/json' },
    }
    const lost = await service.app.request(PATH, init, bindings)
    const first = (await lost.json()) as Claimed
    const repeated = await service.claim(runner_id, { claim_key: 'c1' })
    expect(repeated).toEqual(first)
    breakOff()
    const [run] = repeated.runs
    if (!run) throw new Error('no run')
    const { claim_token } = run
    const started = await service.report('started', { run, runner_id }, { claim_token })
    expect(started.status).toBe(200)
  })

  test('a database that fails while a run goes back is told to the log', async () => {
    const broken = new Error('the disk is gone')
    const service = await setup({
      wrap: ({ runs, ...engine }) => ({
        ...engine,
        runs: { ...runs, release: () => Promise.reject(broken) },
      }),
    })
    const runner_id = await service.register()
    await service.addRun()
    const { bindings, breakOff } = lateBreak()
    await service.app.request(`/runner/runs?runner_id=${runner_id}`, {}, bindings)
    breakOff()
    await expect.poll(() => service.errors.splice(0)).toEqual([broken])
  })
}
