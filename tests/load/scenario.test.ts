import { describe, expect, it } from 'vitest'
import { type GivenOptions, loadOptions, type Scenario } from '../../src/load/options.ts'
import { seededRandom } from '../../src/load/random.ts'
import { type Plan, type PlannedRun, planLoad } from '../../src/load/scenario.ts'
import { satisfies } from '../../src/queue/demands.ts'

const plan = (
  scenario: Scenario,
  given: GivenOptions & { seed?: number } = {},
  lane: string | null = null,
): Plan => planLoad(loadOptions(scenario, given.seed ?? 7, given), lane)

/** How many of the runs no runner could take. */
const misfits = ({ capabilities }: Plan, runs: PlannedRun[]): number =>
  runs.filter(({ demands }) => !capabilities.some((each) => satisfies(each, demands))).length

describe('seeded randomness', () => {
  it('repeats itself, and differs from that of another seed', () => {
    const numbers = (seed: number) => Array.from({ length: 5 }, seededRandom(seed))
    expect(numbers(1)).toEqual(numbers(1))
    expect(numbers(1)).not.toEqual(numbers(2))
  })

  it('spreads evenly from 0 to 1', () => {
    const random = seededRandom(3)
    const tenths = Array<number>(10).fill(0)
    for (let drawn = 0; drawn < 10_000; drawn += 1) {
      const tenth = Math.floor(random() * 10)
      tenths[tenth] = (tenths[tenth] ?? 0) + 1
    }
    expect(tenths).toHaveLength(10)
    expect(Math.min(...tenths)).toBeGreaterThan(900)
  })
})

describe('a plan', () => {
  it('is the same for the same seed', () => {
    expect(plan('steady', { hosts: 3, tags: 2 })).toEqual(plan('steady', { hosts: 3, tags: 2 }))
    expect(plan('steady').arrivals).not.toEqual(plan('steady', { seed: 8 }).arrivals)
  })

  it('spreads steady arrivals over the time, in order, at about the rate', () => {
    const due = plan('steady', { rate: 200, duration_seconds: 10 }).arrivals.map(
      (run) => run.due_ms,
    )
    expect(due.length).toBeGreaterThan(1800)
    expect(due.length).toBeLessThan(2200)
    expect(due).toEqual(due.toSorted((a, b) => (a ?? 0) - (b ?? 0)))
    expect(due.at(-1)).toBeLessThan(10_000)
    expect(due.filter((ms) => (ms ?? 0) < 5000).length / due.length).toBeCloseTo(0.5, 1)
  })

  it('makes a burst come at once', () => {
    const { arrivals } = plan('burst', { runs: 300 })
    expect(arrivals).toHaveLength(300)
    expect(arrivals.every(({ due_ms }) => due_ms === null)).toBe(true)
  })

  it('makes some runs urgent', () => {
    const urgent = plan('burst', { runs: 1000 }).arrivals.filter(({ priority }) => priority === 1)
    expect(urgent.length).toBeGreaterThan(50)
    expect(urgent.length).toBeLessThan(150)
  })

  it('has a backlog that no runner can take, and beside it work that runners can', () => {
    const backlog = plan('backlog', { runs: 500, hosts: 4, tags: 2, duration_seconds: 1 })
    expect(backlog.backlog).toHaveLength(500)
    expect(misfits(backlog, backlog.backlog)).toBe(500)
    expect(misfits(backlog, backlog.arrivals)).toBe(0)
  })

  it('has a history that runners can finish', () => {
    const history = plan('history', { runs: 500, hosts: 4, tags: 2, duration_seconds: 1 })
    expect(history.history).toHaveLength(500)
    expect(misfits(history, history.history)).toBe(0)
  })

  it.each([
    { hosts: 1, tags: 0, runners: 1 },
    { hosts: 1, tags: 3, runners: 3 },
    { hosts: 5, tags: 0, runners: 5 },
    { hosts: 5, tags: 4, runners: 20 },
    { hosts: 5, tags: 1, runners: 7 },
  ])('gives each run a runner with $hosts hosts, $tags tags, $runners runners', (given) => {
    for (const lane of [null, 'lane']) {
      const made = plan('burst', { ...given, runs: 500 }, lane)
      expect(made.capabilities).toHaveLength(given.runners)
      expect(misfits(made, [...made.arrivals, ...made.warmUp])).toBe(0)
      const kinds = new Set(made.arrivals.map(({ demands }) => demands))
      expect(kinds.size).toBe(given.hosts * Math.max(1, given.tags))
    }
  })

  it('keeps to its lane: its runners take nothing of others, nor others of it', () => {
    const [mine, others] = [plan('burst', { runs: 50 }, 'mine'), plan('burst', { runs: 50 }, null)]
    expect(misfits(mine, others.arrivals)).toBe(50)
    expect(misfits(others, mine.arrivals)).toBe(50)
  })

  it('gives each runner an identity of its own', () => {
    const { capabilities } = plan('burst', { hosts: 3, runners: 50 })
    const identities = capabilities.map(({ hostname, project_dir }) => `${hostname} ${project_dir}`)
    expect(new Set(identities).size).toBe(50)
  })
})

describe('options', () => {
  const refused = (scenario: Scenario, given: GivenOptions) => () => loadOptions(scenario, 1, given)

  it('fill in what the scenario does when nothing is said', () => {
    expect(loadOptions('idle', 1, { rate: 2 })).toMatchObject({
      runners: 2000,
      rate: 2,
      duration_seconds: 20,
      runs: null,
    })
  })

  it('refuse what the scenario does not take', () => {
    expect(refused('burst', { rate: 3 })).toThrow('burst takes no --rate; it has --runners')
    expect(refused('burst', { duration_seconds: 3 })).toThrow('burst takes no --duration')
    expect(refused('steady', { runs: 3 })).toThrow('steady takes no --runs')
  })

  it('refuse kinds of runs that would have no runner', () => {
    expect(refused('steady', { hosts: 5, tags: 4, runners: 19 })).toThrow('at least 20 runners')
  })

  it('refuse more runs than fit into memory', () => {
    expect(refused('steady', { rate: 1000, duration_seconds: 501 })).toThrow('more than 500000')
  })

  it.each(['http://127.0.0.1:8765', 'http://127.1.2.3', 'http://localhost:80/', 'http://[::1]:1'])(
    'take %s, which is this machine',
    (url) => {
      expect(loadOptions('steady', 1, { url }).url).toBe(url)
    },
  )

  it.each([
    'http://example.com',
    'http://10.0.0.1:8765',
    'https://127.0.0.1',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'http://localhost@example.com',
    'nonsense',
  ])('refuse %s, which is not or says not how', (url) => {
    expect(refused('steady', { url })).toThrow('an http address of this machine')
  })
})
