/** The kill harness, for some seconds; `npm run torture` goes on for as long as one likes. */
import { describe, expect, test } from 'vitest'
import { isBroken } from './invariants.ts'
import { ENGINES } from './store.ts'
import { type Counts, FULL_SIZE, tortureRound } from './torture.ts'

const NEVER = new AbortController().signal

/** Less proves little. */
const isEnough = ({ server_kills, runner_kills, runs, starts, completions }: Counts): boolean =>
  server_kills + runner_kills > 4 && Math.min(runs, starts, completions) > 10

describe.each(ENGINES)('on %s', (engine) => {
  test('whatever is killed, nothing acknowledged is lost and every run ends as it must', async () => {
    const seed = Date.now() % 2 ** 31
    const { invariants, counts, database } = await tortureRound({
      ...{ engine, seed, seconds: 6, enough: isEnough, fault: null },
      ...{ size: FULL_SIZE, stop: NEVER },
    })
    expect({ seed, database, broken: invariants.filter(isBroken) }).toMatchObject({ broken: [] })
    expect(isEnough(counts), `too little happened: ${JSON.stringify(counts)}`).toBe(true)
  })
})
