/** From a call to a request, and from its answer to a value. */
import { ApiError, apiError, ConnectionError } from './errors.ts'
import type { Answer, Asked, Fetch } from './fetch.ts'
import { retrying } from './retry.ts'

export interface ClientOptions {
  /** Where the server listens, for example `http://127.0.0.1:8765`. */
  url: string
  /** As `runqueue token create` printed it. Not needed while the server has none. */
  token?: string | undefined
  fetch?: Fetch
  /**
   * How often a call is made again that was not answered, or refused for the moment (`Retry-After`),
   * where that does nothing twice: 3 times unless said otherwise.
   */
  retries?: number
}

export interface RequestOptions {
  query?: Record<string, string | number | boolean | undefined>
  body?: unknown
  headers?: Record<string, string>
  /** How long the answer may take, in seconds: 30 unless the call itself waits longer. */
  timeoutSeconds?: number
  signal?: AbortSignal | undefined
  /** Made twice it does no more than made once, so it may be retried. */
  repeatable?: boolean
}

export const TIMEOUT_SECONDS = 30
const RETRIES = 3

export class Transport {
  readonly url: string
  readonly retries: number
  readonly #fetch: Fetch
  readonly #headers: Record<string, string>

  constructor(options: ClientOptions) {
    this.url = options.url.replace(/\/+$/, '')
    this.retries = options.retries ?? RETRIES
    this.#fetch = options.fetch ?? fetch
    this.#headers = options.token ? { authorization: `Bearer ${options.token}` } : {}
  }

  async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const { signal, repeatable = method === 'GET' } = options
    const retries = repeatable ? this.retries : 0
    return await retrying(() => this.#request<T>(method, path, options), retries, signal)
  }

  async #request<T>(method: string, path: string, options: RequestOptions): Promise<T> {
    const seconds = options.timeoutSeconds ?? TIMEOUT_SECONDS
    const abort = new AbortController()
    const timer = setTimeout(
      () => abort.abort(new Error(`no answer within ${seconds}s`)),
      seconds * 1000,
    )
    const cancel = () => abort.abort(options.signal?.reason)
    // By hand, not AbortSignal.any: on Node 20 that leaves an entry in the signal per request,
    // and a runner polls with one signal for as long as it lives.
    options.signal?.addEventListener('abort', cancel)
    if (options.signal?.aborted) cancel()
    try {
      const answer = await this.send(method, path, options, abort.signal)
      const text = await answer.text()
      if (!answer.ok) throw apiError(answer, text)
      return parse<T>(text)
    } catch (error) {
      if (error instanceof ApiError || options.signal?.aborted) throw error
      throw new ConnectionError(this.url, error)
    } finally {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', cancel)
    }
  }

  /** The answer as it begins. */
  send(
    method: string,
    path: string,
    { query = {}, body, headers }: RequestOptions,
    signal: AbortSignal,
  ): Promise<Answer> {
    const url = new URL(this.url + path)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value))
    }
    const asked: Asked = { method, headers: { ...this.#headers, ...headers }, signal }
    if (body !== undefined) {
      asked.body = JSON.stringify(body)
      asked.headers['content-type'] = 'application/json'
    }
    return this.#fetch(url, asked)
  }
}

function parse<T>(text: string): T {
  try {
    return (text === '' ? null : JSON.parse(text)) as T
  } catch {
    throw new Error('something answers there, but not in JSON, so it is no runqueue server')
  }
}
