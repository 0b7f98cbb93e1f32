/** Traces of requests, in words that need no OpenTelemetry: it is loaded only where it is wanted. */

export interface Tracing {
  /** @param traceparent the caller's, if it sent one */
  begin(traceparent: string | null): RequestSpan
  /** Sends what is left. */
  close(): Promise<void>
}

/** One request. Unless it ends, or somebody asks for its context, nothing is told of it. */
export interface RequestSpan {
  /** The context that what comes of the request belongs to; null where it is not traced. */
  traceparent(): string | null
  /** Says that another trace has to do with this one. */
  link(traceparent: string | null): void
  end(answer: AnsweredRequest): void
}

export interface AnsweredRequest {
  method: string
  path: string
  status: number
  request_id: string
  route?: string | undefined
  run_id?: string | undefined
  runner_id?: string | undefined
}

type Environment = Record<string, string | undefined>

/** Whether the usual variables ask for traces: they name an exporter, or where to send to. */
export function wantsTraces(environment: Environment): boolean {
  const given = (name: string) => environment[name]?.trim() || undefined
  if (given('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return false
  const exporter = given('OTEL_TRACES_EXPORTER')
  if (exporter !== undefined) return exporter !== 'none'
  return ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'].some(given)
}
