import fc from 'fast-check'
import { expect, test } from 'vitest'
import { duration, oneLine, printable, relative } from '../../src/cli/text.ts'
import { canonicalDemands, satisfies } from '../../src/queue/demands.ts'
import { whyNobodyTakesIt } from '../../src/queue/runner-match.ts'
import { aRunner } from './harness.ts'

test.each([
  [null, [], 'no runner is registered'],
  [null, [aRunner()], null],
  [null, [aRunner({ status: 'stale' })], 'build-7 could take it, but its runner is stale'],
  [
    null,
    [aRunner({ require_matching_tags: true })],
    'every registered runner takes only runs that demand one of its tags',
  ],
  [{ tags: ['gpu'] }, [aRunner()], 'no registered runner has tag gpu'],
  [
    { hostname: 'h', tags: ['gpu'] },
    [aRunner({ tags: ['gpu'] })],
    'no registered runner has hostname h',
  ],
  [
    { hostname: 'h', tags: ['gpu'] },
    [aRunner()],
    'no registered runner has hostname h and tag gpu',
  ],
  [
    { hostname: 'h', tags: ['gpu'] },
    [aRunner({ hostname: 'h' }), aRunner({ tags: ['gpu'] })],
    'no registered runner has all of hostname h and tag gpu',
  ],
  [
    { hostname: 'h', tags: [] },
    [aRunner({ hostname: 'h', require_matching_tags: true })],
    'every registered runner with hostname h takes only runs that demand one of its tags',
  ],
])('why nobody takes %j', (demands, runners, words) => {
  expect(whyNobodyTakesIt(demands, runners)).toBe(words)
})

test('there is a reason exactly where no online runner satisfies the demands', () => {
  const word = fc.constantFrom('a', 'b')
  const tags = fc.subarray(['x', 'y', 'z'])
  const runner = fc
    .record({
      hostname: word,
      executor_type: word,
      tags,
      require_matching_tags: fc.boolean(),
      status: fc.constantFrom('online' as const, 'stale' as const),
    })
    .map(aRunner)
  const demands = fc
    .record({ hostname: word, executor_type: word, tags }, { requiredKeys: [] })
    .map((input) => canonicalDemands(input))
  fc.assert(
    fc.property(demands, fc.array(runner, { maxLength: 3 }), (demands, runners) => {
      const taken = runners.some((each) => each.status === 'online' && satisfies(each, demands))
      expect(whyNobodyTakesIt(demands, runners) === null).toBe(taken)
    }),
  )
})

test('no text leaves a control character but line breaks and tabs', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (text) => {
      expect(printable(text)).not.toMatch(/(?![\n\t])[\p{Cc}\p{Bidi_Control}]/u)
      expect(oneLine(text)).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u)
    }),
  )
  expect(printable('a\r\nb\tc\rd')).toBe('a\nb\tc\\x0dd')
})

test('one line is bounded, whatever it is made from', () => {
  expect(oneLine('abc', 3)).toBe('abc')
  expect(oneLine('abcd', 3)).toBe('ab…')
  expect(oneLine(`a${' '.repeat(50)}b`, 3)).toBe('a…')
  expect(oneLine('\u0000'.repeat(10), 9)).toHaveLength(9)
})

test.each([
  [-3, '0s'],
  [0.9, '0s'],
  [59, '59s'],
  [60, '1m'],
  [125, '2m 5s'],
  [7_260, '2h 1m'],
  [7_205, '2h'],
  [200_000, '2d 7h'],
])('%d seconds are %s', (seconds, words) => {
  expect(duration(seconds)).toBe(words)
})

test('times are told from here, both ways', () => {
  const now = new Date('2026-01-31T12:00:00.000Z')
  expect(relative('2026-01-31T09:30:00.000Z', now)).toBe('2h ago')
  expect(relative('2026-01-31T12:00:30.000Z', now)).toBe('in 30s')
  // Clocks differ a little: what has just happened did not happen in the future.
  expect(relative('2026-01-31T12:00:00.900Z', now)).toBe('0s ago')
})
