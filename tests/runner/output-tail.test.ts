import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OutputTail } from '../../src/runner/output-tail.ts'

function tailOf(bytes: number, ...chunks: (string | Uint8Array)[]): string {
  const tail = new OutputTail(bytes)
  for (const chunk of chunks) tail.push(Buffer.from(chunk))
  return tail.text()
}

test('keeps all of what fits, and the end of what does not', () => {
  expect(tailOf(8)).toBe('')
  expect(tailOf(8, 'abc', 'de')).toBe('abcde')
  expect(tailOf(8, 'abcdefgh')).toBe('abcdefgh')
  expect(tailOf(8, 'abcdefgh', 'i')).toBe('bcdefghi')
  expect(tailOf(8, 'x'.repeat(1000), 'abcdefghijkl')).toBe('efghijkl')
})

test('never begins within a character', () => {
  expect(tailOf(4, 'aé', 'bcd')).toBe('bcd')
  expect(tailOf(5, '😀', 'bcde')).toBe('bcde')
  expect(tailOf(7, '😀', 'bcde')).toBe('bcde')
  expect(tailOf(8, '😀', 'bcde')).toBe('😀bcde')
})

test('a character may come in pieces', () => {
  const [a, b, c, d] = Buffer.from('😀')
  expect(tailOf(8, ...[a, b, c, d].map((byte) => Uint8Array.of(byte ?? 0)))).toBe('😀')
})

test('what is no UTF-8 does not swallow what is', () => {
  expect(tailOf(8, Uint8Array.of(0xff), 'ok')).toBe('\uFFFDok')
})

test('is the end of the text for any text, in any pieces, with any bound', () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 })
  const texts = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(texts, chunks, (text, noise) => {
      const bytes = Buffer.from(text)
      // After any noise, exactly as many bytes as the text has leave exactly the text …
      expect(tailOf(bytes.length, ...noise, bytes)).toBe(text)
      // … and with a smaller bound an end of it, as long as whole characters can make it.
      for (let bound = 1; bound < bytes.length; bound++) {
        const end = tailOf(bound, ...noise, bytes)
        expect(text.endsWith(end)).toBe(true)
        expect(Buffer.byteLength(end)).toBeGreaterThan(bound - 4)
        expect(Buffer.byteLength(end)).toBeLessThanOrEqual(bound)
      }
    }),
  )
})
