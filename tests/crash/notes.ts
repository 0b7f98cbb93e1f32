/**
 * What is written down of each request: before it goes out, and when its answer is here. A process
 * that is killed in between leaves it `lost`, which is all that anybody knows of it.
 */
import { type HttpClient, NoAnswer, Refused } from '../../src/load/http.ts'

/** `lost`: the server may have done it or not. */
type Outcome = 'acknowledged' | 'refused' | 'lost'

interface Asked {
  /** By Date.now(), as the server's times are: all processes are on one machine. */
  sent: number
  answered: number | null
  outcome: Outcome
  status: number | null
}

export interface AddNote extends Asked {
  kind: 'add'
  /** Of each run; a repetition of the same request has the same. */
  prompts: string[]
  priority: number
  max_attempts: number
  idempotency_key: string | null
  /** Those of the answer. */
  run_ids: string[]
}

export interface RetryNote extends Asked {
  kind: 'retry'
  of: string
  prompt: string
  run_id: string | null
}

export interface StopNote extends Asked {
  kind: 'stop'
  run_id: string
  /** What came of it: the message of the answer, or `stopping`. */
  says: string | null
}

/** A run as a claim handed it out. */
export interface Handed {
  run_id: string
  claim_token: string
  attempt: number
  max_attempts: number
  claimed_at: number
}

export interface ClaimNote extends Asked {
  kind: 'claim'
  runner_id: string
  claim_key: string | null
  runs: Handed[]
  stop_runs: string[]
}

export type Reported = 'started' | 'completed' | 'failed' | 'stopped'

export interface ReportNote extends Asked {
  kind: 'report'
  runner_id: string
  run_id: string
  claim_token: string
  what: Reported
  /** The result's text, or the error. */
  says: string | null
}

/** What tells a server that a runner is alive: a heartbeat, or a registration. */
export interface SignNote extends Asked {
  kind: 'sign'
  runner_id: string
  what: 'register' | 'heartbeat'
}

export type Note = AddNote | RetryNote | StopNote | ClaimNote | ReportNote | SignNote
export type NewNote<N extends Note> = N extends Note ? Omit<N, keyof Asked> : never

/** Writes a note down; what it returns adds to it. */
export type Write = <N extends Note>(note: N) => (facts: Partial<N>) => void

export interface Call {
  method: 'GET' | 'POST'
  path: string
  body?: object
}

const DEADLINE_MS = 10_000

/** Sends a request, with a note of it before and after. */
export class Notary {
  readonly #client: HttpClient
  readonly #write: Write

  constructor(client: HttpClient, write: Write) {
    this.#client = client
    this.#write = write
  }

  /** @param read what an answer of success says, beside that it came */
  async ask<N extends Note>(
    about: NewNote<N>,
    { method, path, body }: Call,
    read: (answer: string) => Partial<N> = () => ({}),
  ): Promise<N> {
    const before = { sent: Date.now(), answered: null, outcome: 'lost', status: null } as const
    const note = { ...about, ...before } as unknown as N
    const add = this.#write(note)
    const facts = await this.#answer(method, path, body).then(
      (text) => ({ outcome: 'acknowledged' as const, status: 200, ...read(text) }),
      (error: unknown) => {
        if (error instanceof Refused) {
          // 503: the database went away, perhaps in the midst of the commit.
          const outcome = error.status === 503 ? ('lost' as const) : ('refused' as const)
          return { outcome, status: error.status }
        }
        if (error instanceof NoAnswer) return {}
        throw error
      },
    )
    const after = { ...facts, answered: Date.now() } as Partial<N>
    add(after)
    return { ...note, ...after }
  }

  #answer(method: string, path: string, body: object | undefined): Promise<string> {
    const text = body === undefined ? null : JSON.stringify(body)
    return this.#client.send(method, path, text, DEADLINE_MS).answer
  }
}
