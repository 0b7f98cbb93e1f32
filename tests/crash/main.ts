/** `npm run torture -- --minutes N --seed S`: rounds until the time is over or an invariant broke. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { processContext } from '../../src/cli/context.ts'
import { printJson } from '../../src/cli/output.ts'
import { FAULTS, type Fault } from './faults.ts'
import { isBroken } from './invariants.ts'
import { printTorture, sumOf, type Torture } from './report.ts'
import { ENGINES, type EngineName } from './store.ts'
import { FULL_SIZE, type Round, tortureRound } from './torture.ts'

const HELP = `npm run torture -- [--minutes N] [--seed S] [--engine NAME] [--fault NAME] [--json]

Kills servers and runners at random while clients and runners work (--engine postgres: the database,
too, a PostgreSQL server of the harness's own), and compares what was
acknowledged with what the database says. Exits 1 where an invariant broke, and says where the
database is. --fault makes the servers wrong on purpose, to see it found out:
${Object.keys(FAULTS).join(', ')}.
`
const ROUND_SECONDS = 45
const SEED_MAX = 2 ** 31

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(randomInt(SEED_MAX)) },
    engine: { type: 'string', default: 'sqlite' },
    fault: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const { stdout, stderr, onInterrupt } = processContext()
const minutes = Number(values.minutes)
const seed = Number(values.seed)
const fault = (values.fault ?? null) as Fault | null
const engine = values.engine as EngineName
const isMeant =
  minutes > 0 && seed >= 0 && ENGINES.includes(engine) && (fault === null || fault in FAULTS)

if (values.help || !isMeant) {
  stderr.write(HELP)
  process.exitCode = values.help ? 0 : 2
} else {
  process.exitCode = await torture()
}

async function torture(): Promise<number> {
  const begun = performance.now()
  const left = () => minutes * 60 - (performance.now() - begun) / 1000
  const stop = new AbortController()
  onInterrupt(() => stop.abort())
  stderr.write(`seed ${seed}\n`)
  const rounds: Round[] = []
  do {
    const seconds = Math.max(5, Math.min(ROUND_SECONDS, left()))
    const round = await tortureRound({
      ...{ engine, seconds, fault, size: FULL_SIZE, stop: stop.signal },
      seed: seed + rounds.length,
    })
    rounds.push(round)
    const { server_kills, runner_kills, database_kills, runs } = round.counts
    stderr.write(
      `round ${rounds.length}: ${server_kills + runner_kills + database_kills} kills, ${runs} runs, ${round.invariants.some(isBroken) ? 'BROKEN' : 'all holds'}\n`,
    )
  } while (left() > 0 && !stop.signal.aborted && !rounds.at(-1)?.invariants.some(isBroken))
  const result: Torture = sumOf(seed, (performance.now() - begun) / 1000, rounds)
  if (values.json) printJson(stdout, result)
  else printTorture(stdout, result)
  return result.ok ? 0 : 1
}
