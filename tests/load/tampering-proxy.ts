/** Between runners and a right server: makes it look like a wrong one. */
import { createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

/** @returns the URL of a proxy whose answers are what `tamper` makes of the server's */
export async function tamperingProxy(
  url: string,
  tamper: (path: string, answer: string) => string,
): Promise<string> {
  const { hostname, port } = new URL(url)
  const proxy = createServer(async (incoming, outgoing) => {
    const { method, url: path = '', headers } = incoming
    const body = await text(incoming)
    const forwarded = send({ hostname, port, method, path, headers, agent: false })
    outgoing.once('close', () => forwarded.destroy())
    forwarded.once('error', () => outgoing.destroy())
    forwarded.once('response', async (response) => {
      const answer = tamper(path, await text(response))
      outgoing.writeHead(response.statusCode ?? 500).end(answer)
    })
    forwarded.end(body)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    proxy.closeAllConnections()
    await new Promise((resolve) => proxy.close(resolve))
  })
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}
