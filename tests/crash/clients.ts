/** Clients: they add runs, one or many at a time, stop some, retry others, and ask again. */
import { randomUUID } from 'node:crypto'
import type { AddRunAnswer, AddRunRequest, StopAnswer } from '../../src/client/index.ts'
import { pause } from '../../src/load/timing.ts'
import { TAGS } from './crew.ts'
import type { AddNote, Notary, RetryNote, StopNote } from './notes.ts'
import { type Parameters, PLANS, type Plan } from './work.ts'

const BACKOFF_MS = 60
/** Longer than any round: runs are not to fail for want of a runner. */
const MATCH_SECONDS = 3600
const BATCH_MAX = 10
/** Runs a client remembers, to stop, retry or resume them. */
const KNOWN_MAX = 30
const PAUSE_MS = 150
const DELAY_MS_MAX = 1500
const RETRY_DELAY_SECONDS = 0.2

interface Known {
  run_id: string
  session_id: string
  prompt: string
  plan: Plan
}

interface ClientsOptions {
  notary: Notary
  random: () => number
  /** Aborts when nothing more is to be added. */
  over: AbortSignal
  /** Makes the prompts of this client its own. */
  name: string
}

type NewRun = AddRunRequest & {
  prompt: string
  parameters: Parameters
  priority: number
  max_attempts: number
}

const EMPTY = { method: 'POST' } as const

/** One client, until it is over. */
export async function beClient({ notary, random, over, name }: ClientsOptions): Promise<void> {
  const known: Known[] = []
  const keyed: NewRun[] = []
  let made = 0
  const pick = <Item>(items: readonly Item[]): Item | undefined =>
    items[Math.floor(random() * items.length)]
  const ofSessions = [resumeOne, childOne, childOne]
  const actions = [addOne, addOne, addOne, addMany, stopOne, retryOne, repeatOne, ...ofSessions]

  while (!over.aborted) {
    await (pick(actions) ?? addOne)()
    await pause(random() * PAUSE_MS, over)
  }

  function aRun(): NewRun {
    const prompt = `${name} ${made}`
    made += 1
    const parameters: Parameters = {
      prompt,
      plan: random() < 0.1 ? 'until_stopped' : (pick(PLANS.slice(0, 3)) ?? 'complete'),
      work_ms: Math.floor(random() ** 3 * 400),
      delay_ms: random() < 0.15 ? 1 + Math.floor(random() * DELAY_MS_MAX) : 0,
    }
    const max_attempts = 1 + Math.floor(random() * 3)
    const tag = pick([null, ...TAGS])
    return {
      type: 'start_session',
      prompt,
      parameters: parameters as NewRun['parameters'],
      priority: Math.floor(random() * 3),
      max_attempts,
      on_lost: max_attempts > 1 && random() < 0.5 ? 'requeue' : 'fail',
      ...(parameters.delay_ms > 0 && { delay_seconds: parameters.delay_ms / 1000 }),
      ...(random() < 0.3 && { retry_delay_seconds: RETRY_DELAY_SECONDS }),
      ...(tag && { additional_demands: { tags: [tag] }, timeout_seconds: MATCH_SECONDS }),
    }
  }

  function remember(runs: Known[]): void {
    known.push(...runs)
    known.splice(0, known.length - KNOWN_MAX)
  }

  async function add(run: NewRun): Promise<AddNote> {
    const { prompt, priority, max_attempts, idempotency_key = null } = run
    const { plan } = run.parameters
    return await notary.ask<AddNote>(
      { kind: 'add', prompts: [prompt], priority, max_attempts, idempotency_key, run_ids: [] },
      { method: 'POST', path: '/runs', body: run },
      (text) => {
        const { run_id, session_id } = JSON.parse(text) as AddRunAnswer
        remember([{ run_id, session_id, prompt, plan }])
        return { run_ids: [run_id] }
      },
    )
  }

  /** With a key it is asked until it is answered; without, once. */
  async function addOne(): Promise<void> {
    const run = aRun()
    if (random() < 0.4) {
      await add(run)
      return
    }
    const request = { ...run, idempotency_key: randomUUID() }
    for (;;) {
      const note = await add(request)
      if (note.outcome !== 'lost' && (note.status ?? 0) < 500) {
        keyed.push(request)
        return
      }
      await pause(BACKOFF_MS, over)
      if (over.aborted) return
    }
  }

  /** An add that was answered long ago, asked again. */
  async function repeatOne(): Promise<void> {
    const request = pick(keyed)
    if (request) await add(request)
  }

  async function addMany(): Promise<void> {
    const runs = Array.from({ length: 1 + Math.floor(random() * BATCH_MAX) }, aRun)
    const [first] = runs
    if (!first) return
    const alike = runs.map((run) => ({
      ...run,
      priority: first.priority,
      max_attempts: first.max_attempts,
      on_lost: 'fail' as const,
    }))
    const { priority, max_attempts } = first
    const prompts = alike.map(({ prompt }) => prompt)
    await notary.ask<AddNote>(
      { kind: 'add', prompts, priority, max_attempts, idempotency_key: null, run_ids: [] },
      { method: 'POST', path: '/runs/batch', body: { runs: alike } },
      (text) => {
        const added = (JSON.parse(text) as { runs: AddRunAnswer[] }).runs
        remember(
          added.flatMap((run, at) => {
            const { prompt, parameters } = alike[at] ?? first
            return { ...run, prompt, plan: parameters.plan }
          }),
        )
        return { run_ids: added.map(({ run_id }) => run_id) }
      },
    )
  }

  async function resumeOne(): Promise<void> {
    const { session_id } = pick(known) ?? {}
    if (session_id) await add({ ...aRun(), type: 'resume_session', session_id })
  }

  /** Its end is told to its parent, which may be at work just then. */
  async function childOne(): Promise<void> {
    const { session_id } = pick(known) ?? {}
    if (!session_id) return
    await add({ ...aRun(), parent_session_id: session_id, execution_mode: 'async_callback' })
  }

  async function stopOne(): Promise<void> {
    const { run_id } = pick(known) ?? {}
    if (run_id) await stopRun(notary, run_id)
    // These take up a runner's slot until they are stopped.
    const endless = known.filter(({ plan }) => plan === 'until_stopped')
    for (const run of endless) await stopRun(notary, run.run_id)
  }

  async function retryOne(): Promise<void> {
    const run = pick(known)
    if (!run) return
    const { run_id: of, prompt, session_id, plan } = run
    await notary.ask<RetryNote>(
      { kind: 'retry', of, prompt, run_id: null },
      { ...EMPTY, path: `/runs/${of}/retry` },
      (text) => {
        const { run_id } = JSON.parse(text) as AddRunAnswer
        remember([{ run_id, session_id, prompt, plan }])
        return { run_id }
      },
    )
  }
}

export function stopRun(notary: Notary, run_id: string): Promise<StopNote> {
  return notary.ask<StopNote>(
    { kind: 'stop', run_id, says: null },
    { ...EMPTY, path: `/runs/${run_id}/stop` },
    (text) => {
      const { message, status } = JSON.parse(text) as StopAnswer
      return { says: message ?? status }
    },
  )
}
