/** The clock jumps, this process sleeps, the database refuses: nobody is lost by that alone. */
import { expect, test } from 'vitest'
import { watchSilence } from '../../src/upkeep/silence.ts'
import { fakeClock } from '../support/clock.ts'

const GRACE = 60

function watch() {
  const clock = fakeClock()
  let elapsedMs = 0
  const jumps: number[] = []
  const silence = watchSilence({
    now: clock.now,
    elapsedMs: () => elapsedMs,
    graceSeconds: GRACE,
    lookSeconds: 2,
    onJump: (seconds) => jumps.push(seconds),
  })
  return {
    silence,
    jumps,
    set: (seconds: number) => clock.advance(seconds),
    /** Time passes as it should, with a look every two seconds. @returns what the last one said */
    pass(seconds: number): boolean {
      let counts = false
      for (let passed = 0; passed < seconds; passed += 2) {
        clock.advance(2)
        elapsedMs += 2000
        counts = silence.counts()
      }
      return counts
    },
    /** Nobody looks meanwhile. */
    sleep(seconds: number) {
      clock.advance(seconds)
      elapsedMs += seconds * 1000
    },
  }
}

test('while time passes as it should, silence counts', () => {
  const { silence, pass, jumps } = watch()
  expect(silence.counts()).toBe(true)
  expect(pass(1000)).toBe(true)
  expect(jumps).toEqual([])
})

test.each([3600, -3600])(
  'after the clock was set by %i s, not until there was time for a sign',
  (by) => {
    const { pass, set, jumps } = watch()
    pass(10)
    set(by)
    expect(pass(2)).toBe(false)
    expect(pass(GRACE - 2)).toBe(false)
    expect(pass(2)).toBe(true)
    expect(jumps).toEqual([by])
  },
)

test('a clock that is adjusted bit by bit did not jump', () => {
  const { silence, set, pass } = watch()
  for (let i = 0; i < 20; i++) {
    set(1)
    expect(pass(2)).toBe(true)
  }
  expect(silence.counts()).toBe(true)
})

test('after this process was stopped for long, not until there was time for a sign', () => {
  const { pass, sleep, jumps } = watch()
  sleep(600)
  expect(pass(2)).toBe(false)
  expect(pass(GRACE)).toBe(true)
  expect(jumps).toEqual([])
})

test('after signs were refused, not until there was time for another', () => {
  const { silence, pass } = watch()
  silence.excuse()
  expect(pass(GRACE - 2)).toBe(false)
  silence.excuse()
  expect(pass(GRACE - 2)).toBe(false)
  expect(pass(2)).toBe(true)
})
