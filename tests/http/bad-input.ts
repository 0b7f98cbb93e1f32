/** Whatever is sent: an answer that says what is wrong, never a 5xx, and nothing is stored. */
import { describe, expect, test } from 'vitest'
import { type Answer, expectInvalid, expectRefusal } from './support/api.ts'
import { rawConnection, request } from './support/raw.ts'
import { type Service, type Setup, shared } from './support/service.ts'

const LIMIT = 10 * 1024 * 1024
const JSON_TYPE = { 'content-type': 'application/json' }

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
/** A body that would be fine without this member. */
const withMember = (member: string) => `{"type":"start_session","prompt":"hello",${member}}`

/** Every route that reads a body; the ids exist, so that the body alone is at fault. */
async function routesWithBody(service: Service): Promise<[method: string, path: string][]> {
  const { run } = await service.begin({ session_id: 'mine' })
  return [
    ['POST', '/runs'],
    ['POST', '/runs/batch'],
    ['POST', '/runner/register'],
    ['POST', '/runner/runs/claim'],
    ['POST', '/runner/heartbeat'],
    ['POST', `/runner/runs/${run.run_id}/started`],
    ['POST', `/runner/runs/${run.run_id}/completed`],
    ['POST', `/runner/runs/${run.run_id}/failed`],
    ['POST', `/runner/runs/${run.run_id}/stopped`],
    ['POST', '/runner/sessions/mine/status'],
    ['POST', '/sessions/mine/bind'],
    ['POST', '/sessions/mine/events'],
    ['PATCH', '/sessions/mine/metadata'],
  ]
}

type Routes = Awaited<ReturnType<typeof routesWithBody>>

/** The same bad body to every route that takes one. */
async function expectRefusedEverywhere(
  service: Service,
  routes: Routes,
  init: RequestInit,
  check: (answer: Answer) => void,
): Promise<void> {
  const before = await service.everything()
  for (const [method, path] of routes) check(await service.send(method, path, init))
  expect(await service.everything()).toEqual(before)
  expect((await service.get('/sessions/mine/events')).body['events']).toHaveLength(1)
}

/** What this process has worked, however many others do. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

export function describeBadInput(setup: Setup): void {
  const given = shared(setup)
  let routes: Promise<Routes> | undefined
  async function expectEverywhere(init: RequestInit, check: (answer: Answer) => void) {
    const service = await given()
    routes ??= routesWithBody(service)
    await expectRefusedEverywhere(service, await routes, init, check)
  }

  describe('bodies that are no JSON', () => {
    test.each([
      ['broken', '{"type":"start_session",'],
      ['two values', '{}{}'],
      ['a form', 'type=start_session&prompt=hello'],
      ['NaN', '{"priority":NaN}'],
      ['a NUL byte', '{"prompt":"a\0b"}'],
      ['white space', '  '],
      ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
      ['UTF-16', Buffer.from('\ufeff{"type":"start_session"}', 'utf16le')],
      ['half a character', Buffer.from('{"prompt":"ä"}').subarray(0, 12)],
    ])('%s', async (_, body) => {
      await expectEverywhere({ headers: JSON_TYPE, body }, (answer) => {
        expectInvalid(answer, ['body'])
        expect(answer.body['detail']).toMatchObject([{ type: 'json_invalid' }])
      })
    })

    test('empty', async () => {
      const service = await given()
      for (const init of [{}, { headers: JSON_TYPE }, { headers: JSON_TYPE, body: '' }]) {
        expectInvalid(await service.post('/runs', undefined, init), ['body'])
      }
      await expectEverywhere({}, (answer) => {
        expect(answer.body['detail']).toEqual([
          { type: 'missing', loc: ['body'], msg: 'Field required' },
        ])
      })
    })

    test.each(['null', '5', '"text"', '[]', 'true'])('JSON, but no object: %s', async (body) => {
      await expectEverywhere({ headers: JSON_TYPE, body }, (answer) => {
        expectInvalid(answer, ['body'])
      })
    })

    test.each([
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/xml',
      'nonsense',
      'application/jsonp',
    ])('of type %s', async (type) => {
      const init = { headers: { 'content-type': type }, body: '{"prompt":"hello"}' }
      await expectEverywhere(init, (answer) => {
        expectRefusal(answer, 415, 'unsupported_media_type')
      })
    })

    test.each(['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/vnd.x+json'])(
      'but %s is JSON',
      async (type) => {
        const { post } = await given()
        const body = '{"type":"start_session","prompt":"hello"}'
        const init = { headers: { 'content-type': type }, body }
        expect((await post('/runs', undefined, init)).status).toBe(201)
      },
    )

    test('without a type, as some clients send it', async () => {
      const { url, runs } = await setup()
      const { write, answer } = await rawConnection(url)
      const body = '{"type":"start_session","prompt":"hello"}'
      const length = `Content-Length: ${body.length}`
      write(`POST /runs HTTP/1.1\r\nHost: localhost\r\n${length}\r\n\r\n${body}`)
      expect((await answer()).status).toBe(201)
      expect(await runs()).toHaveLength(1)
    })
  })

  describe('values that cannot be kept', () => {
    test.each([
      ['1e999', '"priority":1e999'],
      ['1e30', '"priority":1e30'],
      ['2^60', '"priority":1152921504606846976'],
      ['2^60, where any JSON is taken', '"scope":{"a":[1152921504606846976]}'],
      ['1e999, where any JSON is taken', '"scope":{"a":{"b":-1e999}}'],
      ['a huge wait', '"timeout_seconds":1e300'],
      ['NUL', '"agent_name":"a\\u0000b"'],
      ['NUL in a key', '"scope":{"a\\u0000":1}'],
      ['NUL, where any text is taken', '"scope":{"a":["\\u0000"]}'],
      ['a lone surrogate', '"agent_name":"\\ud800"'],
      ['a lone surrogate in a key', '"scope":{"\\udc00":1}'],
      ['a line break', '"agent_name":"a\\nb"'],
      ['nested 101 deep', `"scope":{"a":${nested(101)}}`],
      ['nested 10 000 deep', `"scope":{"a":${nested(10_000)}}`],
      ['nested 10 000 deep in an unknown field', `"junk":${nested(10_000)}`],
      ['10 000 tags', `"additional_demands":{"tags":[${'"x",'.repeat(9_999)}"x"]}`],
      ['10 000 wrong tags', `"additional_demands":{"tags":[${'5,'.repeat(9_999)}5]}`],
      ['a name of 10 000 letters', `"agent_name":"${'x'.repeat(10_000)}"`],
      ['a prototype for the demands', '"additional_demands":{"__proto__":5,"tags":5}'],
    ])('%s', async (_, member) => {
      const service = await given()
      const before = await service.everything()
      const init = { headers: JSON_TYPE, body: withMember(member) }
      const answer = await service.post('/runs', undefined, init)
      expectInvalid(answer)
      expect(answer.text.length).toBeLessThan(20_000)
      expect(await service.everything()).toEqual(before)
    })

    test.each([
      ['constructor', '{"constructor":{"prototype":{"x":1}},"prompt":"hello"}'],
      ['__proto__', '{"__proto__":{"prompt":"bad"},"prompt":"hello","n":{"__proto__":[1]}}'],
    ])('but a member named %s is kept as any other', async (_, parameters) => {
      const { post, runs, get, register, poll } = await setup()
      const body = `{"type":"start_session","parameters":${parameters}}`
      expect((await post('/runs', undefined, { headers: JSON_TYPE, body })).status).toBe(201)
      const [run] = await runs()
      expect(JSON.stringify(run?.parameters)).toBe(parameters)
      expect((await get(`/runs/${run?.run_id}`)).text).toContain(parameters)
      expect((await poll(await register())).text).toContain(parameters)
      expect(({} as Record<string, unknown>)['prompt']).toBeUndefined()
    })

    test('__proto__ is no way around what is required', async () => {
      const { post } = await given()
      const body = '{"__proto__":{"type":"start_session","prompt":"hello"}}'
      const answer = await post('/runs', undefined, { headers: JSON_TYPE, body })
      expectInvalid(answer, ['body', 'type'])
    })

    test('numbers and text that fit are kept exactly', async () => {
      const { post, get } = await setup()
      const scope = `{"n":[0,-1,9007199254740991,0.1,1e-7,-9007199254740991],"t":"\u{1f600} \u2028 ä"}`
      const parameters = `{"prompt":"hello","n":${scope},"deep":${nested(90)}}`
      const body = `{"type":"start_session","parameters":${parameters}}`
      const added = await post('/runs', undefined, { headers: JSON_TYPE, body })
      const { text } = await get(`/runs/${added.body['run_id']}`)
      expect(text).toContain(parameters)
    })

    test('a report is not refused for them: it is made once', async () => {
      const service = await setup()
      const held = await service.begin()
      const { run_id } = held.run
      const data = `{"big":1e999,"long":1152921504606846976,"nul":"\\u0000","deep":${nested(10_000)}}`
      const body = `{"runner_id":"${held.runner_id}","result":{"text":"\\ud800","data":${data}}}`
      const answer = await service.post(`/runner/runs/${run_id}/completed`, undefined, {
        ...{ headers: JSON_TYPE, body },
      })
      expect(answer.status).toBe(200)
      expect((await service.run(run_id)).result).toMatchObject({
        text: '\ufffd',
        data: { big: null, long: 2 ** 60, nul: '\ufffd', deep: expect.any(Array) },
      })
    })
  })

  describe('ids and queries', () => {
    test.each([
      '/runs/%00',
      '/runs/run_%00',
      '/runs/%ff',
      '/runs/%',
      '/runs/%F0%9F%98%80',
      "/runs/'%20OR%201=1--",
      `/runs/${'x'.repeat(5_000)}`,
      '/sessions/%00',
      '/sessions/..%2f..%2fetc',
      '/runs?session_id=%00',
      '/runs?status=%00',
      `/runs?status=${'x'.repeat(1001)}`,
      '/runs?limit=5&limit=x',
      '/runs?limit=%00',
      '/runs?wait[]=5',
      '/runs?%00=1',
      '/runner/runs?runner_id=',
      '/runner/runs?runner_id=%00',
      '/runner/runs?runner_id=%ff',
      `/runner/runs?runner_id=${'x'.repeat(5_000)}`,
    ])('GET %s', async (path) => {
      const { get } = await given()
      const answer = await get(path)
      expect(answer.status).toBeLessThan(500)
      if (answer.status !== 200) {
        expectRefusal(answer, answer.status, answer.body['code'] as string)
      }
    })

    test.each([
      ['/events?status=done', 'status.0: Invalid option: expected one of "pending"|"claimed"'],
      ['/runs?limit=many', 'limit: Invalid input: expected number'],
      ['/runs?limit=1001', 'limit: Too big: expected number to be <=1000'],
    ])('GET %s is told what is allowed: %s', async (path, words) => {
      const { get } = await given()
      const { status, body } = await get(path)
      expect(status).toBe(422)
      expect(body['message']).toContain(words)
      expect(body['message']).not.toContain('NaN')
    })

    test('a NUL in a query is the query’s fault', async () => {
      const { get } = await given()
      expectInvalid(await get('/runs?session_id=%00'), ['query', 'session_id'])
      expectInvalid(await get('/runs/%00'), ['path', 'run_id'])
    })
  })

  describe('bodies that are too large', () => {
    const tooLarge = withMember(`"junk":"${'x'.repeat(LIMIT)}"`)

    test('by their Content-Length, before they are read', async () => {
      const { url, runs } = await setup()
      const { write, answer } = await rawConnection(url)
      const length = `Content-Length: ${LIMIT + 1}`
      write(`POST /runs HTTP/1.1\r\nHost: localhost\r\n${length}\r\n\r\n{"type":`)
      const { status, body } = await answer()
      expect(status).toBe(413)
      expect(JSON.parse(body)).toMatchObject({ code: 'body_too_large', detail: expect.any(String) })
      expect(await runs()).toEqual([])
    })

    test('sent whole', async () => {
      const { post, runs } = await setup()
      const answer = await post('/runs', undefined, { headers: JSON_TYPE, body: tooLarge })
      expectRefusal(answer, 413, 'body_too_large')
      expect(await runs()).toEqual([])
    })

    test('in chunks, whose sum nobody stated', async () => {
      const { url, runs } = await setup()
      const { socket, write, answer } = await rawConnection(url)
      const type = 'Content-Type: application/json\r\nTransfer-Encoding: chunked'
      write(`POST /runs HTTP/1.1\r\nHost: localhost\r\n${type}\r\n\r\n`)
      const chunk = Buffer.alloc(1024 * 1024, 'x')
      const chunks = setInterval(() => {
        if (socket.writableLength > 0 || socket.closed) return
        write(`${chunk.length.toString(16)}\r\n`)
        write(Buffer.concat([chunk, Buffer.from('\r\n')]))
      }, 1)
      const { status, body } = await answer().finally(() => clearInterval(chunks))
      expect(status).toBe(413)
      expect(JSON.parse(body)).toMatchObject({ code: 'body_too_large' })
      expect(await runs()).toEqual([])
    })

    test('chunks that fit are read', async () => {
      const { url, runs } = await setup()
      const { write, answer } = await rawConnection(url)
      const type = 'Content-Type: application/json\r\nTransfer-Encoding: chunked'
      const body = withMember(`"agent_name":"chunked"`)
      write(`POST /runs HTTP/1.1\r\nHost: localhost\r\n${type}\r\n\r\n`)
      for (const part of [body.slice(0, 9), body.slice(9)]) {
        write(`${part.length.toString(16)}\r\n${part}\r\n`)
      }
      write('0\r\n\r\n')
      expect((await answer()).status).toBe(201)
      expect(await runs()).toMatchObject([{ agent_name: 'chunked' }])
    })

    test('millions of small values do not hold up the others', async () => {
      const { post } = await given()
      const ones = `[${'1,'.repeat(4_999_999)}1]`
      const body = withMember(`"additional_demands":{"tags":${ones}}`)
      const began = cpuMs()
      JSON.parse(body)
      const parsed = cpuMs() - began
      expectInvalid(await post('/runs', undefined, { headers: JSON_TYPE, body }))
      // Some 3 times what parsing takes; an allocation for each value makes it 50 times.
      expect((cpuMs() - began - parsed) / parsed).toBeLessThan(12)
    })
  })

  describe('connections', () => {
    test('a body that breaks off stores nothing, and the server goes on', async () => {
      const { url, runs, get } = await setup()
      const { socket, write } = await rawConnection(url)
      const whole = request('POST', '/runs', withMember('"agent_name":"broken-off"'))
      write(whole.slice(0, -5))
      socket.end()
      await new Promise((closed) => socket.once('close', closed))
      expect(await runs()).toEqual([])
      expect((await get('/health')).status).toBe(200)
    })

    test('a body for a call that needs none is skipped, and the connection goes on', async () => {
      const { url, addRun } = await setup()
      const { run_id } = await addRun()
      const first = await rawConnection(url)
      first.write(request('POST', `/runs/${run_id}/stop`, '{"why":"because"}'))
      expect((await first.answer()).status).toBe(200)
      const { write, answer } = await rawConnection(url)
      write(request('POST', `/runs/${run_id}/stop`, 'x'.repeat(100_000)))
      write(request('GET', '/health', '', ['Connection: close']))
      const { head, body } = await answer()
      expect(head).toMatch(/^HTTP\/1.1 200/)
      expect(body).toContain('"ok":true')
    })
  })
}
