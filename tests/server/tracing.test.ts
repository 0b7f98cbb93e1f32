/** Traces, as a collector receives them. */
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { wantsTraces } from '../../src/tracing/tracing.ts'
import { apiOf } from '../http/support/api.ts'
import { startHere } from './in-process.ts'

interface Attribute {
  key: string
  value: { stringValue?: string; intValue?: number }
}

interface Span {
  name: string
  kind: number
  traceId: string
  spanId: string
  parentSpanId?: string
  attributes: Attribute[]
  links: { traceId: string; spanId: string }[]
}

/** Takes what OTLP/HTTP sends as JSON. */
async function collector() {
  const spans: Span[] = []
  const resources: Record<string, unknown>[] = []
  const server = createServer(async (request, answer) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString())
    for (const { resource, scopeSpans } of resourceSpans) {
      resources.push(attributesOf(resource))
      for (const scope of scopeSpans) spans.push(...scope.spans)
    }
    answer.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  onTestFinished(() => void server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, spans, resources }
}

const attributesOf = ({ attributes }: { attributes: Attribute[] }) =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]),
  )

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT_ID = '00f067aa0ba902b7'

test('each request is a span; a run takes its trace along, and reports link to it', async () => {
  const { url, spans, resources } = await collector()
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', url)
  vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/json')
  vi.stubEnv('OTEL_SERVICE_NAME', 'queue-of-mine')
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '20')
  onTestFinished(() => void vi.unstubAllEnvs())
  const server = await startHere({ RUNNER_POLL_TIMEOUT: '0.02' })
  const { get, post } = apiOf(server.url)
  const runner = { hostname: 'alpha', project_dir: '/project', executor_profile: 'coding' }
  const { runner_id } = (await post<{ runner_id: string }>('/runner/register', runner)).body
  await get(`/runner/runs?runner_id=${runner_id}`)
  const headers = { traceparent: `00-${TRACE_ID}-${PARENT_ID}-01` }
  const { run_id } = (
    await post<{ run_id: string }>(
      '/runs',
      { type: 'start_session', prompt: 'secret' },
      { headers },
    )
  ).body
  const claimed = await post<{ runs: { traceparent: string }[] }>('/runner/runs/claim', {
    runner_id,
  })
  await post(`/runner/runs/${run_id}/started`, { runner_id })
  await get('/nowhere')

  await expect.poll(() => spans.length).toBe(5)
  expect(spans.map(({ name }) => name)).toEqual([
    'POST /runner/register',
    'POST /runs',
    'POST /runner/runs/claim',
    'POST /runner/runs/:run_id/started',
    'GET',
  ])
  for (const { kind } of spans) expect(kind).toBe(2)
  const [, added, claim, started] = spans
  expect(added).toMatchObject({ traceId: TRACE_ID, parentSpanId: PARENT_ID })
  expect(claimed.body.runs[0]?.traceparent).toBe(`00-${TRACE_ID}-${added?.spanId}-01`)
  const toRun = { traceId: TRACE_ID, spanId: added?.spanId }
  expect(claim).toMatchObject({ links: [toRun] })
  expect(started).toMatchObject({ links: [toRun] })
  expect(started?.traceId).not.toBe(TRACE_ID)
  expect(attributesOf(started ?? { attributes: [] })).toMatchObject({
    'http.request.method': 'POST',
    'http.route': '/runner/runs/:run_id/started',
    'http.response.status_code': 200,
    'runqueue.run_id': run_id,
    'runqueue.runner_id': runner_id,
    'runqueue.request_id': expect.any(String),
  })
  expect(resources[0]).toMatchObject({ 'service.name': 'queue-of-mine' })
  expect(JSON.stringify(spans)).not.toContain('secret')
})

test('unless told otherwise it sends protobuf', async () => {
  const received: unknown[] = []
  const server = createServer(async (request, answer) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { url, headers } = request
    received.push({ url, type: headers['content-type'], text: Buffer.concat(chunks).toString() })
    answer.end()
  })
  onTestFinished(() => void server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${port}`)
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '20')
  onTestFinished(() => void vi.unstubAllEnvs())
  const { get } = apiOf((await startHere({})).url)
  await get('/sessions')
  await expect
    .poll(() => received[0])
    .toMatchObject({
      url: '/v1/traces',
      type: 'application/x-protobuf',
      text: expect.stringContaining('GET /sessions'),
    })
})

test('a server says so where it is asked for traces that it cannot send', async () => {
  vi.stubEnv('OTEL_TRACES_EXPORTER', 'zipkin')
  onTestFinished(() => void vi.unstubAllEnvs())
  await expect(startHere({})).rejects.toThrow(/^OTEL_TRACES_EXPORTER must be otlp, console or none/)
})

test.each([
  [{}, false],
  [{ OTEL_SERVICE_NAME: 'x' }, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318' }, true],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://localhost:4318/v1/traces' }, true],
  [{ OTEL_TRACES_EXPORTER: 'otlp' }, true],
  [{ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x' }, false],
  [{ OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x' }, false],
])('%j asks for traces: %s', (environment, wanted) => {
  expect(wantsTraces(environment)).toBe(wanted)
})

test('nothing of OpenTelemetry is loaded unless it is asked for', () => {
  const statically = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    (file) =>
      file.endsWith('.ts') &&
      /^(import|export) (?!type)[^;]*?from '(@opentelemetry|[./]*tracing\/otel)/m.test(
        readFileSync(`src/${file}`, 'utf8'),
      ),
  )
  expect(statically).toEqual(['tracing/otel.ts'])
})
