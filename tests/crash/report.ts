/** What came of a torture, for people and programs. */
import type { Output } from '../../src/cli/context.ts'
import { printFacts } from '../../src/cli/output.ts'
import type { Invariant } from '../../src/load/invariants.ts'
import { invariantLines } from '../../src/load/report-text.ts'
import { isBroken } from './invariants.ts'
import type { Counts, Round } from './torture.ts'

export interface Torture {
  seed: number
  rounds: number
  seconds: number
  counts: Counts
  invariants: Invariant[]
  ok: boolean
  /** The database of the round that broke an invariant. */
  database: string | null
}

const TITLES: Record<keyof Counts, string> = {
  server_kills: 'servers killed',
  runner_kills: 'runner processes killed',
  database_kills: 'databases killed',
  cuts: 'connections cut',
  lost: 'answers lost',
  runs: 'runs acknowledged',
  claims: 'claims',
  starts: 'starts',
  completions: 'completions',
  failures: 'failures',
  stops: 'stops',
  retries: 'retries',
}

/** The sum of all rounds; examples are those of the first that has some. */
export function sumOf(seed: number, seconds: number, rounds: readonly Round[]): Torture {
  const counts = Object.fromEntries(
    Object.keys(TITLES).map((name) => [
      name,
      rounds.reduce((sum, round) => sum + round.counts[name as keyof Counts], 0),
    ]),
  ) as unknown as Counts
  const invariants = (rounds[0]?.invariants ?? []).map((first, at) => {
    const all = rounds.flatMap((round) => round.invariants[at] ?? [])
    return {
      ...first,
      checked: all.reduce((sum, { checked }) => sum + checked, 0),
      broken: all.reduce((sum, { broken }) => sum + broken, 0),
      examples: all.find(isBroken)?.examples ?? [],
    }
  })
  return {
    ...{ seed, rounds: rounds.length, seconds, counts, invariants },
    ok: !invariants.some(isBroken),
    database: rounds.find(({ database }) => database !== null)?.database ?? null,
  }
}

export function printTorture(output: Output, torture: Torture): void {
  const { seed, rounds, seconds, counts, invariants, database } = torture
  const shown = Object.entries(TITLES).map(([name, title]): [string, string] => [
    title,
    String(counts[name as keyof Counts]),
  ])
  printFacts(output, [
    ['seed', String(seed)],
    ['rounds', `${rounds} in ${seconds.toFixed(0)} s`],
    ...shown,
  ])
  output.write(`\n${invariants.flatMap((each) => invariantLines(output, each)).join('\n')}\n`)
  if (database !== null) output.write(`\nthe database is kept: ${database}\n`)
}
