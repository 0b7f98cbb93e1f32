/** Asking the server, with the token if there is one. */
import { token } from './token.js'

/** What the server refused, or that it could not be reached (`status` 0). */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message)
    this.status = status
    this.code = code
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 * @throws {Refusal}
 */
export async function ask(path, init = {}) {
  const headers = new Headers(init.headers)
  const known = token()
  if (known !== null) headers.set('Authorization', `Bearer ${known}`)
  let response
  try {
    response = await fetch(path, { ...init, headers })
  } catch (error) {
    if (init.signal?.aborted) throw error
    throw new Refusal(0, 'unreachable', 'The server cannot be reached.')
  }
  if (response.ok) return response
  const { code = '', message = '' } = await response.json().catch(() => ({}))
  throw new Refusal(response.status, code, message || `The server answered ${response.status}.`)
}
