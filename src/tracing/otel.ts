/** Traces by OpenTelemetry, which reads its own variables (OTEL_…): where to send to, how, how many. */
import {
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ConsoleSpanExporter,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base'
import { parseTraceparent } from '../queue/traceparent.ts'
import { version } from '../version.ts'
import type { AnsweredRequest, RequestSpan, Tracing } from './tracing.ts'

/** What is left when the server leaves is sent, unless that takes longer. */
const CLOSE_DEADLINE_MS = 3_000

/** @throws Error where the variables ask for something that there is not */
export async function startTracing(
  environment: Record<string, string | undefined>,
  warn: (what: string) => void,
): Promise<Tracing> {
  const exporter = await exporterOf(environment)
  const silent = () => {}
  diag.setLogger(
    { error: warn, warn, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
  const own = { 'service.name': 'runqueue', 'service.version': version() }
  const provider = new BasicTracerProvider({
    resource: defaultResource()
      .merge(resourceFromAttributes(own))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  })
  const tracer = provider.getTracer('runqueue', version())
  return {
    begin: (traceparent) => new LazySpan(tracer, traceparent),
    async close() {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_DEADLINE_MS)
      })
      await Promise.race([provider.shutdown().catch(() => {}), late])
      clearTimeout(timer)
    },
  }
}

async function exporterOf(environment: Record<string, string | undefined>): Promise<SpanExporter> {
  const wanted = environment['OTEL_TRACES_EXPORTER']?.trim() || 'otlp'
  if (wanted === 'console') return new ConsoleSpanExporter()
  if (wanted !== 'otlp') {
    throw new Error(`OTEL_TRACES_EXPORTER must be otlp, console or none, not '${wanted}'`)
  }
  const protocol =
    environment['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL']?.trim() ||
    environment['OTEL_EXPORTER_OTLP_PROTOCOL']?.trim() ||
    'http/protobuf'
  switch (protocol) {
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter()
    case 'http/json':
      return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter()
    default:
      throw new Error(
        `OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf or http/json, not '${protocol}'`,
      )
  }
}

const now = () => performance.timeOrigin + performance.now()

class LazySpan implements RequestSpan {
  readonly #tracer: Tracer
  readonly #parent: Context
  readonly #began = now()
  #span: Span | undefined
  #links: SpanContext[] = []

  constructor(tracer: Tracer, traceparent: string | null) {
    this.#tracer = tracer
    const parent = contextOf(traceparent)
    this.#parent = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT
  }

  traceparent(): string | null {
    this.#span ??= this.#start()
    const { traceId, spanId, traceFlags } = this.#span.spanContext()
    return parseTraceparent(`00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`)
  }

  link(traceparent: string | null): void {
    const context = contextOf(traceparent)
    if (context) this.#links.push(context)
  }

  end({ method, path, status, route, ...facts }: AnsweredRequest): void {
    const span = this.#span ?? this.#start()
    span.updateName(route ?? method)
    span.addLinks(this.#links.map((context) => ({ context })))
    span.setAttributes({
      'http.request.method': method,
      'http.route': route?.slice(route.indexOf(' ') + 1),
      'url.path': path,
      'http.response.status_code': status,
      'runqueue.request_id': facts.request_id,
      'runqueue.run_id': facts.run_id,
      'runqueue.runner_id': facts.runner_id,
    })
    if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
    span.end(now())
  }

  #start(): Span {
    const options = { kind: SpanKind.SERVER, startTime: this.#began }
    return this.#tracer.startSpan('request', options, this.#parent)
  }
}

function contextOf(traceparent: string | null): SpanContext | null {
  const [, traceId = '', spanId = '', flags = ''] = traceparent?.split('-') ?? []
  if (traceparent === null || parseTraceparent(traceparent) === null) return null
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
}
