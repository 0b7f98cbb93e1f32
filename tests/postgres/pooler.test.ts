/** Behind a pooler: sessions of one's own will do, shared ones are refused in words. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { openPostgresEngine } from '../../src/postgres/engine.ts'
import { caught } from '../support/errors.ts'
import { openFixture } from './fixture.ts'

const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])
/** Authenticated, as a process that there is not. */
const WELCOME = Buffer.concat([
  Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]),
  Buffer.from([0x4b, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 1]),
  READY,
])

/** Calls back with each whole message; the first one, of a client, has no letter before its length. */
function messages(socket: Socket, hasStart: boolean, each: (message: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  let lettered = hasStart ? 0 : 1
  socket.on('error', () => {})
  socket.on('data', (data) => {
    rest = Buffer.concat([rest, data])
    while (rest.length >= lettered + 4) {
      const length = lettered + rest.readInt32BE(lettered)
      if (rest.length < length) return
      const message = rest.subarray(0, length)
      rest = rest.subarray(length)
      lettered = 1
      each(message)
    }
  })
}

/**
 * Gives each client a connection of its own, or from one transaction to the next all the same one; or,
 * as where many others are at it, each time the next of several.
 */
type Mode = 'session' | 'transaction' | 'busy'
const BUSY_CONNECTIONS = 3

async function startPooler(url: string, mode: Mode): Promise<string> {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  onTestFinished(() => {
    pooler.close()
    for (const socket of sockets) socket.destroy()
  })
  /** A connection to PostgreSQL, which one client has until a transaction is over. */
  const open = (start: Buffer) => {
    const server = connect(Number(port), hostname)
    sockets.add(server)
    server.write(start)
    const waiting: { client: Socket; message: Buffer }[] = []
    let owner: Socket | undefined
    let isWelcome = false
    const send = () => {
      const next = waiting.findIndex(({ client }) => owner === undefined || client === owner)
      const [one] = isWelcome && next >= 0 ? waiting.splice(next, 1) : []
      if (!one) return
      owner = one.client
      server.write(one.message)
      send()
    }
    messages(server, false, (message) => {
      if (isWelcome) owner?.write(message)
      if (message[0] !== 0x5a) return
      isWelcome = true
      if (message[5] === 0x49) owner = undefined
      send()
    })
    return (client: Socket, message: Buffer) => {
      waiting.push({ client, message })
      send()
    }
  }
  const shared: ReturnType<typeof open>[] = []
  let turn = 0
  const pooler = createServer((client) => {
    sockets.add(client)
    let to: ReturnType<typeof open> | undefined
    messages(client, true, (message) => {
      if (to) {
        if (mode === 'busy') to = shared[turn++ % BUSY_CONNECTIONS] ?? to
        // A client that leaves does not take the connection along.
        if (message[0] !== 0x58) to(client, message)
        return
      }
      to = (mode !== 'session' && shared[0]) || open(message)
      shared.push(to)
      while (mode === 'busy' && shared.length < BUSY_CONNECTIONS) shared.push(open(message))
      client.write(WELCOME)
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => pooler.once('listening', resolve))
  const pooled = new URL(url)
  pooled.port = String((pooler.address() as AddressInfo).port)
  return pooled.href
}

async function newDatabase(): Promise<string> {
  const fixture = await openFixture()
  onTestFinished(() => fixture.cleanup())
  return fixture.opener.url
}

test.each<[Mode, string]>([
  ['transaction', 'the same one for all'],
  ['busy', 'whichever is free'],
])(
  'one that shares connections between transactions is refused at the start: %s, %s',
  async (mode) => {
    const url = await startPooler(await newDatabase(), mode)
    const error = await caught(openPostgresEngine({ url }))
    expect(String(error)).toMatch(/shares connections between transactions.*pool_mode = session/)
  },
)

test('one that gives each client its own is used', async () => {
  const url = await startPooler(await newDatabase(), 'session')
  const engine = await openPostgresEngine({ url })
  expect(await engine.runs.pending(1)).toEqual([])
  await engine.close()
})
