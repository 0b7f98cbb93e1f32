/** The kill harness, for some seconds; `npm run torture` goes on for as long as one likes. */
import { expect, test } from 'vitest'
import { isBroken } from './invariants.ts'
import { FULL_SIZE, tortureRound } from './torture.ts'

const NEVER = new AbortController().signal

test('whatever is killed, nothing acknowledged is lost and every run ends as it must', async () => {
  const seed = Date.now() % 2 ** 31
  const round = await tortureRound({ seed, seconds: 6, fault: null, size: FULL_SIZE, stop: NEVER })
  const { invariants, counts, database } = round
  expect({ seed, database, broken: invariants.filter(isBroken) }).toMatchObject({ broken: [] })
  // Otherwise it proves little.
  expect(counts.server_kills + counts.runner_kills).toBeGreaterThan(4)
  expect(Math.min(counts.runs, counts.starts, counts.completions)).toBeGreaterThan(10)
})
