import type { IncomingMessage, ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { Failures } from '../../src/load/failures.ts'
import { Ledger } from '../../src/load/ledger.ts'
import { Recorder } from '../../src/load/recorder.ts'
import { SimulatedRunner } from '../../src/load/simulated-runner.ts'
import { aPlannedRun } from './evidence.ts'
import { clientOf } from './scripted-server.ts'

type Answer = 'ok' | 'cut' | number

/**
 * Lets a runner work on one run until there is no more to do.
 * @param script what the server answers to each kind of request, in turn; then always ok. The first
 * claim that is ok hands out the run.
 */
async function workWith(script: { claim?: Answer[]; started?: Answer[]; completed?: Answer[] }) {
  const ledger = new Ledger('x')
  const [record] = ledger.plan('arrivals', [aPlannedRun()])
  if (!record) throw new Error('nothing planned')
  ledger.accept(record, 'run_0', Date.now())
  const leave = new AbortController()
  const asked: { path: string; claim_key?: string; claim_token?: string }[] = []
  const run = {
    run_id: 'run_0',
    prompt: ledger.promptOf(record),
    claim_token: 'token',
    created_at: '2026-01-31T12:00:00.000Z',
    claimed_at: '2026-01-31T12:00:01.000Z',
  }
  let handedOut = false

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    asked.push({ path, ...((await json(request)) as object) })
    const step = path.slice(path.lastIndexOf('/') + 1) as keyof typeof script
    const how = script[step]?.shift() ?? 'ok'
    if (how === 'cut') request.socket.destroy()
    else if (typeof how === 'number') response.writeHead(how).end('no')
    else if (step !== 'claim') response.end('{}')
    else if (handedOut) {
      // It asks for more: what there was to do is done, and this claim gets no answer.
      leave.abort()
    } else {
      handedOut = true
      response.end(JSON.stringify({ runs: [run] }))
    }
  }

  const { client } = await clientOf(answer)
  const recorder = new Recorder()
  recorder.begin(0)
  const failures = new Failures()
  const runner = new SimulatedRunner('lnch_a', client, {
    ledger,
    recorder,
    failures,
    random: () => 0.5,
    work_ms: 1,
    leave: leave.signal,
  })
  await runner.work()
  return { ledger, claim: record.claims[0], asked, failures: Object.fromEntries(failures.counts) }
}

describe('a simulated runner', () => {
  it('takes a run, reports its start and its end, and asks for more', async () => {
    const { ledger, claim, asked, failures } = await workWith({})
    expect(asked.map(({ path }) => path)).toEqual([
      '/runner/runs/claim',
      '/runner/runs/run_0/started',
      '/runner/runs/run_0/completed',
      '/runner/runs/claim',
    ])
    expect(asked[1]?.claim_token).toBe('token')
    expect(asked[3]?.claim_key).not.toBe(asked[0]?.claim_key)
    expect(claim).toMatchObject({
      claim_token: 'token',
      claimed_at: Date.parse('2026-01-31T12:00:01.000Z'),
      started: 'acknowledged',
      completed: 'acknowledged',
    })
    expect(ledger).toMatchObject({ completed: 1, open: 0, claimsLostSince: null })
    expect(failures).toEqual({})
  })

  it('repeats reports that got no answer or an error of the server', async () => {
    const { claim, failures } = await workWith({ started: ['cut'], completed: [503] })
    expect(claim).toMatchObject({ started: 'acknowledged', completed: 'acknowledged' })
    expect(failures).toEqual({ 'started: ECONNRESET': 1, 'completed: refused with 503': 1 })
  })

  it('drops a run whose start is refused', async () => {
    const { claim, ledger, failures } = await workWith({ started: [409] })
    expect(claim).toMatchObject({ started: 'refused', completed: 'unsent' })
    expect(ledger.open).toBe(1)
    expect(failures).toEqual({ 'started: refused with 409': 1 })
  })

  it('repeats a claim whose answer was lost as the same claim, and says that it was', async () => {
    const before = Date.now()
    const { asked, ledger, failures } = await workWith({ claim: ['cut'] })
    expect(asked[1]).toMatchObject({ path: '/runner/runs/claim', claim_key: asked[0]?.claim_key })
    expect(ledger.claimsLostSince).toBeGreaterThanOrEqual(before)
    expect(failures).toEqual({ 'claim: ECONNRESET': 1 })
  })

  it('asks again after a refused claim, which took nothing', async () => {
    const { ledger, failures } = await workWith({ claim: [503] })
    expect(ledger).toMatchObject({ completed: 1, claimsLostSince: null })
    expect(failures).toEqual({ 'claim: refused with 503': 1 })
  })
})
