/** The part of `fetch` that the client uses; Node's, a browser's and `httpFetch` have it. */
export type Fetch = (url: URL, asked: Asked) => Promise<Answer>

export interface Asked {
  method: string
  headers: Record<string, string>
  body?: string
  signal: AbortSignal
}

export type Answer = Pick<Response, 'ok' | 'status' | 'statusText' | 'text' | 'body'> & {
  headers: Pick<Headers, 'get'>
}
