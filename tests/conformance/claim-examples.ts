/** Runners and runs that meet, or nearly do. */
import fc from 'fast-check'

/** Few and alike, so that matches are frequent and near misses too: prefixes, quotes, brackets. */
const TAGS = [
  ...['a', 'ab', 'a b', 'a,b', 'a!', 'a]', 'A', 'b', '', ' ', '!', ',', '[', ']', '[]'],
  ...['"', 'a"', '","', '\\', 'a\\', '\\"', '\\u0061', "'", "a'", '%', '\n', '\u0001', '\u007f'],
  ...['é', 'e\u0301', '\u2028', '\uff5e', '\u{1d4b3}', 'a\u{1f600}', 'null', '1', '{}'],
]
const VALUES = [
  'h',
  'h2',
  'h"',
  'h,',
  '[',
  '\\',
  "'",
  '\uff5e',
  '\u{1d4b3}',
  'null',
  '1',
  '{"a":1}',
]

/** Few values in one example, so that the runs and the runners of it meet. */
const few = fc.record({
  tags: fc.uniqueArray(fc.constantFrom(...TAGS), { minLength: 2, maxLength: 6 }),
  values: fc.uniqueArray(fc.constantFrom(...VALUES), { minLength: 1, maxLength: 3 }),
})

type Few = typeof few extends fc.Arbitrary<infer T> ? T : never

const someOf = ({ tags }: Few) =>
  fc.uniqueArray(fc.constantFrom(...tags), { maxLength: tags.length })

function runnerOf(given: Few) {
  const value = fc.constantFrom(...given.values)
  return fc.record({
    hostname: value,
    project_dir: value,
    executor_type: fc.option(value, { nil: null }),
    executor_profile: fc.option(value, { nil: null }),
    tags: someOf(given),
    require_matching_tags: fc.boolean(),
  })
}

function demandsOf(given: Few) {
  const seldom = fc.option(fc.constantFrom(...given.values), { freq: 2, nil: null })
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    {
      weight: 6,
      arbitrary: fc.record({
        hostname: seldom,
        project_dir: seldom,
        executor_type: seldom,
        executor_profile: seldom,
        tags: someOf(given),
      }),
    },
  )
}

/** One runner before many runs. */
export const example = few.chain((given) =>
  fc.record({
    runner: runnerOf(given),
    pending: fc.array(
      fc.record({
        demands: demandsOf(given),
        priority: fc.integer({ min: -1, max: 1 }),
        age: fc.integer({ min: 0, max: 2 }),
      }),
      { minLength: 1, maxLength: 24, size: 'max' },
    ),
    limit: fc.integer({ min: 1, max: 4 }),
  }),
)

/** One run before several runners, some of which are not there for it. */
export const runnersExample = few.chain((given) =>
  fc.record({
    demands: demandsOf(given),
    runners: fc.array(
      fc.record({
        offers: runnerOf(given),
        state: fc.constantFrom('online', 'online', 'stale', 'deregistered'),
      }),
      { maxLength: 14, size: 'max' },
    ),
  }),
)
