/** A server's engine as a process of its own, whose runners claim and complete as told by messages. */
import { openPostgresEngine } from '../src/postgres/engine.ts'
import { newClaimToken } from '../src/queue/ids.ts'
import { now, register } from './support.ts'

export interface Order {
  /** So many runs, or until there is none. */
  runs: number
}
export interface Done {
  /** One for each claim. */
  run_ids: string[]
  cpuMs: number
}

const [url = '', name = '', claimers = ''] = process.argv.slice(2)
const engine = await openPostgresEngine({ url })
const runner_ids = Array.from({ length: Number(claimers) }, (_, i) => `${name}-${i}`)
for (const runner_id of runner_ids) await register(engine, runner_id)

async function work({ runs }: Order): Promise<Done> {
  const run_ids: string[] = []
  const before = process.cpuUsage()
  let left = runs
  await Promise.all(
    runner_ids.map(async (runner_id) => {
      while (left > 0) {
        left -= 1
        const claim = { runner_id, limit: 1, claim_key: null, tokens: [newClaimToken()] }
        const [run] = await engine.runs.claim(claim, now())
        if (!run) return
        run_ids.push(run.run_id)
        const report = { run_id: run.run_id, runner_id, claim_token: run.claim_token }
        await engine.runs.complete({ ...report, session_status: 'finished', result: null }, now())
      }
    }),
  )
  const { user, system } = process.cpuUsage(before)
  return { run_ids, cpuMs: (user + system) / 1000 }
}

process.on('message', async (order: Order) => process.send?.(await work(order)))
process.on('disconnect', () => process.exit())
process.send?.('ready')
