/**
 * A process that claims and completes runs until there are no more. Arguments: the URL of the
 * database, the runner's id.
 * Says `ready` and waits for `go`; says so again after its first claim and waits for the next order,
 * so that each has claimed before any goes on. After `last` it ends with the first claim that gets
 * nothing, and says what it claimed. JavaScript, on what was built, so that it starts at once.
 */
import { openEngine } from '../../dist/engine.js'
import { newClaimToken } from '../../dist/queue/ids.js'

const LIMIT = 3
const [url = '', runner_id = ''] = process.argv.slice(2)
// Power cuts are no subject of these tests.
const engine = await openEngine({ url, durability: 'normal' })

let last = false
let ordered = () => {}
process.on('message', ({ order }) => {
  if (order === 'last') last = true
  ordered()
})
const nextOrder = async () => {
  const order = new Promise((resolve) => {
    ordered = () => resolve(undefined)
  })
  process.send?.({ ready: true })
  await order
}

async function complete({ run_id, claim_token }) {
  const end = { run_id, runner_id, claim_token, session_status: 'finished', result: null }
  await engine.runs.complete(end, new Date().toISOString())
}

const claimed = []
await nextOrder()
for (let isFirst = true; ; isFirst = false) {
  const wasLast = last
  const tokens = Array.from({ length: LIMIT }, newClaimToken)
  const claim = { runner_id, limit: LIMIT, claim_key: null, tokens }
  const runs = await engine.runs.claim(claim, new Date().toISOString())
  if (isFirst) await nextOrder()
  claimed.push(...runs.map(({ run_id }) => run_id))
  await Promise.all(runs.map(complete))
  if (runs.length === 0 && wasLast) break
  // Lets messages in, and does not hammer an empty queue.
  await new Promise((resolve) => setTimeout(resolve, runs.length === 0 ? 2 : 0))
}
await engine.close()
process.send?.({ claimed })
process.disconnect()
