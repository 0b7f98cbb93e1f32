import { describe, expect, it } from 'vitest'
import type { Demands } from '../../src/queue/demands.ts'
import type { NewRunner } from '../../src/queue/runner.ts'
import type { Setup } from './world.ts'

interface Case {
  name: string
  demands: Demands | null
  runner: Partial<NewRunner>
  taken: boolean
}

const whole = { hostname: 'h', project_dir: '/d', executor_type: 't', executor_profile: 'p' }
const CASES: Case[] = [
  { name: 'nothing demanded', demands: null, runner: {}, taken: true },
  { name: 'all that is demanded', demands: { ...whole, tags: [] }, runner: whole, taken: true },
  ...Object.keys(whole).map((property) => ({
    name: `another ${property} than demanded`,
    demands: { ...whole, tags: [] },
    runner: { ...whole, [property]: 'other' },
    taken: false,
  })),
  ...Object.entries(whole).map(([property, value]) => ({
    name: `only ${property} demanded`,
    demands: { [property]: value, tags: [] },
    runner: whole,
    taken: true,
  })),
  ...(['executor_type', 'executor_profile'] as const).map((property) => ({
    name: `${property} demanded of a runner without one`,
    demands: { [property]: 'x', tags: [] },
    runner: { [property]: null },
    taken: false,
  })),
  { name: 'a tag it lacks', demands: { tags: ['a'] }, runner: { tags: ['b'] }, taken: false },
  { name: 'no tags at all', demands: { tags: ['a'] }, runner: { tags: [] }, taken: false },
  {
    name: 'tags among others',
    demands: { tags: ['b', 'd'] },
    runner: { tags: ['e', 'd', 'c', 'b', 'a'] },
    taken: true,
  },
  {
    name: 'one of two tags',
    demands: { tags: ['a', 'b'] },
    runner: { tags: ['a', 'c'] },
    taken: false,
  },
  {
    name: 'a tag that begins like its own',
    demands: { tags: ['gpu-large'] },
    runner: { tags: ['gpu'] },
    taken: false,
  },
  {
    name: 'a tag that its own begins with',
    demands: { tags: ['gpu'] },
    runner: { tags: ['gpu-large'] },
    taken: false,
  },
  {
    name: 'another spelling of its tag',
    demands: { tags: ['GPU'] },
    runner: { tags: ['gpu'] },
    taken: false,
  },
  {
    name: 'no tags, and it requires matching ones',
    demands: { hostname: 'h', tags: [] },
    runner: { hostname: 'h', tags: ['a'], require_matching_tags: true },
    taken: false,
  },
  {
    name: 'nothing, and it requires matching tags',
    demands: null,
    runner: { tags: ['a'], require_matching_tags: true },
    taken: false,
  },
  {
    name: 'nothing, and it requires matching tags but has none',
    demands: null,
    runner: { tags: [], require_matching_tags: true },
    taken: false,
  },
  {
    name: 'one of the tags that it requires',
    demands: { tags: ['b'] },
    runner: { tags: ['a', 'b'], require_matching_tags: true },
    taken: true,
  },
  {
    name: 'one of the required tags and another',
    demands: { tags: ['b', 'x'] },
    runner: { tags: ['a', 'b'], require_matching_tags: true },
    taken: false,
  },
  {
    name: 'its tag but another host',
    demands: { hostname: 'other', tags: ['a'] },
    runner: { hostname: 'h', tags: ['a'] },
    taken: false,
  },
]

export function describeClaimMatch(setup: Setup): void {
  describe('claim: what the runner offers', () => {
    it.each(CASES)('$name: taken $taken', async ({ demands, runner, taken }) => {
      const { add, register, claim } = await setup()
      const run = await add({ demands })
      const claimed = await claim(await register(runner))
      expect(claimed.map(({ run_id }) => run_id)).toEqual(taken ? [run.run_id] : [])
    })
  })
}
