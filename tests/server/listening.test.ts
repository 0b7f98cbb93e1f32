/** Where and how it listens. */
import { expect, test } from 'vitest'
import { startHere } from './in-process.ts'

test('port 0 picks a free one, which the address names', async () => {
  const { url } = await startHere({})
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d+$/)
  expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'healthy' })
})

test('idle connections stay open longer than clients keep them', async () => {
  const { url } = await startHere({})
  const { headers } = await fetch(`${url}/health`)
  const [, seconds] = /timeout=(\d+)/.exec(headers.get('keep-alive') ?? '') ?? []
  expect(Number(seconds)).toBeGreaterThanOrEqual(60)
})
