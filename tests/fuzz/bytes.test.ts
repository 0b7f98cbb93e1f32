/**
 * Bytes on the socket of a whole server: garbage, half and pipelined requests, wrong lengths, slow
 * clients, half-closed connections, and clients that go away at every point.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import type { RunView } from '../../src/http/views.ts'
import { inParallel } from '../../src/load/timing.ts'
import { apiOf } from '../http/support/api.ts'
import { startHere } from '../server/in-process.ts'
import { post, type Stream, streams } from './bytes.ts'

const CASES = Number(process.env['FUZZ_CASES'] ?? 400)
/** For those who have nothing to hear: Node waits for the rest of a half request. */
const PATIENCE_MS = 25
/** At a time. */
const WIDTH = 16

async function open(url: string): Promise<{ socket: Socket; heard: () => string }> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
  let heard = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  return { socket, heard: () => heard }
}

/** @returns all that the server said until it closed, or fell silent */
async function exchange(url: string, { pieces, ending }: Stream): Promise<string> {
  const { socket, heard } = await open(url)
  const closed = once(socket, 'close').catch(() => {})
  for (const piece of pieces) {
    if (socket.writable) socket.write(piece)
    await setImmediate()
  }
  if (ending === 'half_close') socket.end()
  if (ending !== 'break_off') await Promise.race([closed, setTimeout(PATIENCE_MS)])
  socket.destroy()
  await closed
  return heard()
}

const statusesIn = (heard: string): number[] =>
  [...heard.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))

/** Rejections that nobody handles end a server; here they would fail the test run. */
function unhandled(): unknown[] {
  const reasons: unknown[] = []
  const note = (reason: unknown) => void reasons.push(reason)
  process.on('unhandledRejection', note).on('uncaughtException', note)
  onTestFinished(() => void process.off('unhandledRejection', note).off('uncaughtException', note))
  return reasons
}

test(`any bytes, ${CASES} times: never an error of ours, and the server goes on`, {
  timeout: 60_000 + CASES * 100,
}, async () => {
  const reasons = unhandled()
  const { url } = await startHere({})
  await fc.assert(
    fc.asyncProperty(fc.array(streams, { minLength: WIDTH, maxLength: WIDTH }), async (all) => {
      await inParallel(all, WIDTH, null, async (stream) => {
        for (const status of statusesIn(await exchange(url, stream))) {
          // 505: a version of HTTP that nobody speaks.
          if (status >= 500) expect([503, 505, 507]).toContain(status)
        }
      })
      expect((await apiOf(url).get('/health')).status).toBe(200)
    }),
    { numRuns: Math.ceil(CASES / WIDTH) },
  )
  expect(reasons).toEqual([])
})

test('a client that goes away at any byte leaves a whole run, or nothing', async () => {
  const reasons = unhandled()
  const { url } = await startHere({})
  const api = apiOf(url)
  const bytes = Buffer.from(post())
  const places = Array.from({ length: bytes.length }, (_, at) => at)
  const goAway = (at: number, ending: Stream['ending']) =>
    exchange(url, { pieces: [bytes.subarray(0, at)], ending })
  await inParallel(places, WIDTH, null, async (at) => {
    await goAway(at, at % 2 === 0 ? 'break_off' : 'half_close')
  })
  const { body: none } = await api.get<{ runs: RunView[] }>('/runs')
  expect(none.runs).toEqual([])
  // With all of it sent, each may have made one run; with its session, or neither.
  await inParallel(places.slice(0, 50), WIDTH, null, async () => {
    await goAway(bytes.length, 'break_off')
  })
  // Clients were gone before it was done: what still comes, comes with its session, too.
  const stored = async () => {
    const { body: of } = await api.get<{ sessions: { session_id: string }[] }>('/sessions')
    const { body } = await api.get<{ runs: RunView[] }>('/runs?limit=1000')
    return [body.runs, of.sessions].map((list) => list.map(({ session_id }) => session_id).sort())
  }
  await expect
    .poll(async () => {
      const [ofRuns, ofSessions] = await stored()
      return ofRuns?.join() === ofSessions?.join()
    })
    .toBe(true)
  expect((await stored())[0]?.length).toBeLessThanOrEqual(50)
  expect(reasons).toEqual([])
})

test('slow clients are served beside the others', async () => {
  const { url } = await startHere({})
  const api = apiOf(url)
  const slow = await open(url)
  onTestFinished(() => void slow.socket.destroy())
  for (const byte of post()) {
    slow.socket.write(byte)
    await setImmediate()
    if (byte === '\r') expect((await api.get('/health')).status).toBe(200)
  }
  while (!slow.heard().includes('\r\n\r\n')) await once(slow.socket, 'data')
  expect(statusesIn(slow.heard())).toEqual([201])
})
