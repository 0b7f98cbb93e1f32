/** Requests that went wrong, counted by what they were and how. */
import { NoAnswer, Refused } from './http.ts'

/** More kinds than this are one kind: the list is for people. */
const KINDS_MAX = 50

export class Failures {
  readonly counts = new Map<string, number>()

  /** @throws what is no failure of a request */
  count(what: string, error: unknown): void {
    const kind = `${what}: ${reasonOf(error)}`
    const known = this.counts.has(kind) || this.counts.size < KINDS_MAX
    const name = known ? kind : 'others'
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Refused) return `refused with ${error.status}`
  if (error instanceof NoAnswer) return error.reason
  throw error
}
