import { expect, it } from 'vitest'
import { ReadGate } from '../../src/queue/reads.ts'
import { refusal } from '../support/errors.ts'

/** Reads that are at work until they are told to end. */
function slowReads(gate: ReadGate) {
  const ends: ((value: string) => void)[] = []
  const read = () => gate.pass(() => new Promise<string>((resolve) => ends.push(resolve)))
  return { ends, read }
}

it('lets so many in at once, and the next when one is done', async () => {
  const { ends, read } = slowReads(new ReadGate(2))
  const [first, second, third] = [read(), read(), read()]
  expect(ends).toHaveLength(2)
  ends[1]?.('second')
  expect(await second).toBe('second')
  await expect.poll(() => ends.length).toBe(3)
  ends[0]?.('first')
  ends[2]?.('third')
  expect([await first, await third]).toEqual(['first', 'third'])
})

it('goes on after one that fails', async () => {
  const gate = new ReadGate(1)
  const failing = gate.pass(async () => {
    throw new Error('broken')
  })
  const next = gate.pass(async () => 'read')
  await expect(failing).rejects.toThrow('broken')
  expect(await next).toBe('read')
})

it('sends away who comes when too many wait', async () => {
  const { ends, read } = slowReads(new ReadGate(1))
  const reads = Array.from({ length: 201 }, read)
  await refusal(read(), 'database_busy')
  for (let at = 0; at < reads.length; at++) {
    if (at > 0) await reads[at - 1]
    await Promise.resolve()
    ends[at]?.('read')
  }
  expect(new Set(await Promise.all(reads))).toEqual(new Set(['read']))
})
