import { json } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { NoAnswer, Refused } from '../../src/load/http.ts'
import { clientOf } from './scripted-server.ts'

const failure = (answer: Promise<unknown>): Promise<unknown> =>
  answer.then(
    (value) => expect.fail(`expected a failure, got ${JSON.stringify(value)}`),
    (error: unknown) => error,
  )

const MINUTE = 60_000

describe('the client', () => {
  it('sends and reads JSON', async () => {
    const { client } = await clientOf(async (request, response) => {
      const { method, url } = request
      response.end(JSON.stringify({ method, url, body: await json(request) }))
    })
    const asked = { method: 'POST', url: '/path', body: { text: 'é' } }
    expect(await client.post('/path', { text: 'é' })).toEqual(asked)
  })

  it('says what the server refused, and why', async () => {
    const { client } = await clientOf((_, response) => response.writeHead(409).end('taken'))
    const error = await failure(client.get('/path'))
    expect(error).toBeInstanceOf(Refused)
    expect(error).toMatchObject({ status: 409, message: 'GET /path: 409 taken' })
  })

  it('waits for an answer until the deadline', async () => {
    const { client } = await clientOf(() => {})
    const error = await failure(client.send('GET', '/path', null, 50).answer)
    expect(error).toBeInstanceOf(NoAnswer)
    expect(error).toMatchObject({ message: 'GET /path: no answer within 0.05 s' })
  })

  it('knows nothing of the outcome when the connection breaks', async () => {
    const { client } = await clientOf((request) => request.socket.destroy())
    expect(await failure(client.get('/path'))).toMatchObject({ reason: 'ECONNRESET' })
  })

  it('knows nothing of the outcome when the answer breaks off', async () => {
    const { client } = await clientOf((_, response) => {
      response.writeHead(200, { 'content-length': 100 })
      response.write('{', () => response.destroy())
    })
    expect(await failure(client.get('/path'))).toBeInstanceOf(NoAnswer)
  })

  it('can give up', async () => {
    const { client } = await clientOf(() => {})
    const { answer, cancel } = client.send('GET', '/path', null, MINUTE)
    cancel()
    expect(await failure(answer)).toMatchObject({ reason: 'given up' })
  })

  it('keeps to its number of connections, and keeps them', async () => {
    let atWork = 0
    let most = 0
    const { client, opened } = await clientOf((_, response) => {
      atWork += 1
      most = Math.max(most, atWork)
      setImmediate(() => {
        atWork -= 1
        response.end('{}')
      })
    }, 3)
    await client.connect()
    await Promise.all(Array.from({ length: 30 }, () => client.get('/path')))
    expect({ opened: opened(), most }).toEqual({ opened: 3, most: 3 })
  })
})
