/**
 * A process that claims and completes runs until there are no more.
 * Arguments: the opener's module and url, the runner's id.
 * Says `ready`, waits for `go`, claims; after `last` it ends with the first claim that gets nothing,
 * and says what it claimed.
 */
import type { Engine } from '../../src/queue/engine.ts'
import { newClaimToken } from '../../src/queue/ids.ts'
import type { ClaimedRun } from '../../src/queue/run.ts'
import type { Opener } from './fixture.ts'

export type Order = { order: 'go' | 'last' }
export type Answer = { ready: true } | { claimed: string[] }

const LIMIT = 3
const say = (answer: Answer) => process.send?.(answer)

async function claim(engine: Engine, runner_id: string): Promise<ClaimedRun[]> {
  const tokens = Array.from({ length: LIMIT }, newClaimToken)
  const now = new Date().toISOString()
  return await engine.runs.claim({ runner_id, limit: LIMIT, claim_key: null, tokens }, now)
}

async function complete(engine: Engine, runner_id: string, run: ClaimedRun): Promise<void> {
  const { run_id, claim_token } = run
  const report = { run_id, runner_id, claim_token }
  const end = { ...report, session_status: 'finished' as const, result: null }
  await engine.runs.complete(end, new Date().toISOString())
}

async function main(module: string, url: string, runner_id: string): Promise<void> {
  const { openEngine } = (await import(module)) as Opener
  const engine = await openEngine(url)
  let last = false
  const go = new Promise<void>((resolve) => {
    process.on('message', ({ order }: Order) => {
      if (order === 'last') last = true
      resolve()
    })
  })
  say({ ready: true })
  await go
  const claimed: string[] = []
  for (;;) {
    const wasLast = last
    const runs = await claim(engine, runner_id)
    claimed.push(...runs.map(({ run_id }) => run_id))
    await Promise.all(runs.map((run) => complete(engine, runner_id, run)))
    if (runs.length === 0 && wasLast) break
    // Lets messages in, and does not hammer an empty queue.
    await new Promise((resolve) => setTimeout(resolve, runs.length === 0 ? 2 : 0))
  }
  await engine.close()
  say({ claimed })
  process.disconnect()
}

const [module = '', url = '', runner_id = ''] = process.argv.slice(2)
await main(module, url, runner_id)
