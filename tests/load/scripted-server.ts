/** A server that answers as a test says, and a client of it; both gone when the test ends. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { HttpClient } from '../../src/load/http.ts'

export async function clientOf(answer: RequestListener, connections = 1) {
  let opened = 0
  const server = createServer(answer).on('connection', () => {
    opened += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const client = new HttpClient(`http://127.0.0.1:${port}`, connections)
  onTestFinished(async () => {
    client.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { client, opened: () => opened }
}
