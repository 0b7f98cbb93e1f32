/** Servers that are wrong on purpose: the harness must find out each of them, by its name. */
import { describe, expect, test } from 'vitest'
import { FAULTS, type Fault } from './faults.ts'
import { isBroken } from './invariants.ts'
import type { EngineName } from './store.ts'
import { tortureRound } from './torture.ts'

const SMALL = { servers: 1, runners: 1, clients: 2 }
/** Only what is lost with its process needs one that ends. */
const KILLING = { gap_ms: { least: 200, most: 900 } }
const PEACEFUL = { gap_ms: { least: 60_000, most: 60_000 } }

describe.concurrent('a server that', () => {
  const onSqlite = Object.entries(FAULTS).map(([fault, name]) => ['sqlite', fault, name])
  const cases = [...onSqlite, ['postgres', 'takes_outdated_tokens', FAULTS.takes_outdated_tokens]]
  test.each(cases as [EngineName, Fault, string][])(
    'on %s %s breaks %s',
    async (engine, fault, name) => {
      const pace = fault === 'acknowledges_first' ? KILLING : PEACEFUL
      const round = await tortureRound({
        ...{ engine, seed: 1, seconds: 10, fault },
        // It goes on until that is found, which takes its time where the machine is busy.
        enough: () => false,
        size: { ...SMALL, ...pace },
        stop: new AbortController().signal,
      })
      expect(round.invariants.filter(isBroken).map((each) => each.name)).toContain(name)
    },
  )
})
