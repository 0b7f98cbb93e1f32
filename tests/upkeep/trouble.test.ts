import { expect, test } from 'vitest'
import { QueueError } from '../../src/queue/errors.ts'
import { seldomOfEachTrouble } from '../../src/upkeep/trouble.ts'

test('the same trouble is told once in ten seconds, with how often it came meanwhile', () => {
  let elapsedMs = 0
  const seldom = seldomOfEachTrouble(() => elapsedMs)
  const full = () => seldom(new QueueError('database_full', 'no room'))
  expect(full()).toEqual({})
  elapsedMs = 9_999
  expect([full(), full()]).toEqual([null, null])
  expect(seldom(new QueueError('database_busy', 'locked'))).toEqual({})
  elapsedMs = 10_000
  expect(full()).toEqual({ unsaid: 2 })
  expect(full()).toBeNull()
})

test('errors of our own are told each time', () => {
  const seldom = seldomOfEachTrouble(() => 0)
  for (let i = 0; i < 3; i++) expect(seldom(new TypeError('oops'))).toEqual({})
})
