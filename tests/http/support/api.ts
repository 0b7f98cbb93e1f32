/** Requests as clients make them, and answers as clients see them. */
import { expect } from 'vitest'

export type Body = Record<string, unknown>

export interface Answer<T = Body> {
  status: number
  headers: Headers
  text: string
  /** The JSON of the answer; undefined where it is empty, or something else. */
  body: T
}

export interface Api {
  send<T = Body>(method: string, path: string, init?: RequestInit): Promise<Answer<T>>
  get<T = Body>(path: string, init?: RequestInit): Promise<Answer<T>>
  /** `body` as JSON; without one the request is empty. */
  post<T = Body>(path: string, body?: unknown, init?: RequestInit): Promise<Answer<T>>
  patch<T = Body>(path: string, body: unknown): Promise<Answer<T>>
  delete<T = Body>(path: string): Promise<Answer<T>>
}

export function apiOf(url: string): Api {
  async function send<T>(method: string, path: string, init: RequestInit = {}) {
    const response = await fetch(url + path, { method, ...init })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json')
    const body = (isJson && text !== '' ? JSON.parse(text) : undefined) as T
    return { status: response.status, headers: response.headers, text, body }
  }
  const json = (body: unknown, init: RequestInit = {}): RequestInit => ({
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
    body: JSON.stringify(body),
  })
  return {
    send,
    get: (path, init) => send('GET', path, init),
    post: (path, body, init) => send('POST', path, body === undefined ? init : json(body, init)),
    patch: (path, body) => send('PATCH', path, json(body)),
    delete: (path) => send('DELETE', path),
  }
}

/** A refusal in the one shape that all have: `detail`, `code` and `message`. */
export function expectRefusal(
  answer: Answer<unknown>,
  status: number,
  code: string,
  detail?: unknown,
): void {
  expect(answer).toMatchObject({ status, body: { code, message: expect.any(String) } })
  const body = answer.body as Body
  expect(Object.keys(body).sort()).toEqual(['code', 'detail', 'message'])
  expect(body['message']).not.toBe('')
  if (detail !== undefined) expect(body['detail']).toEqual(detail)
}

/** A 422, with the places that are wrong. */
export function expectInvalid(answer: Answer<unknown>, ...places: (string | number)[][]): void {
  expectRefusal(answer, 422, 'validation_error')
  const detail = (answer.body as { detail: { type: string; loc: unknown; msg: string }[] }).detail
  for (const fault of detail) {
    expect(fault).toEqual({
      type: expect.stringMatching(/^[a-z_]+$/),
      loc: expect.any(Array),
      msg: expect.stringMatching(/./),
    })
  }
  if (places.length > 0) expect(detail.map(({ loc }) => loc)).toEqual(places)
}
