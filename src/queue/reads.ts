/**
 * What people look at: lists, overviews and explanations, which take milliseconds where a claim takes
 * a tenth of one. Engines perform these apart from the rest, so that no claim waits for them, and a
 * bounded number at once.
 */
import type { Engine } from './engine.ts'
import { QueueError } from './errors.ts'

const READS = {
  runs: ['list', 'pending', 'active', 'events'],
  sessions: ['list', 'events'],
  runners: ['list'],
  insight: ['explainRun', 'explainRunner'],
  overview: ['standing', 'demandGroups', 'ended', 'activity', 'search'],
  metrics: ['read'],
} as const satisfies { [Part in keyof Engine]?: readonly (keyof Engine[Part])[] }

export type ReadingPart = keyof typeof READS
type Method = (...given: unknown[]) => Promise<unknown>

/** So many reads may wait for their turn: each takes some milliseconds, so this is a second or two. */
const WAITING_MAX = 200

/** Lets some in at once; who comes then waits for a turn, and beyond a bound is sent away. */
export class ReadGate {
  readonly #atOnce: number
  readonly #waiting: (() => void)[] = []
  #inside = 0

  constructor(atOnce: number) {
    this.#atOnce = atOnce
  }

  /** @throws QueueError database_busy, where too many wait */
  async pass<T>(read: () => Promise<T>): Promise<T> {
    if (this.#inside < this.#atOnce) this.#inside += 1
    else await this.#turn()
    try {
      return await read()
    } finally {
      // Whoever comes next takes the place over, so that nobody slips in between.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#inside -= 1
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= WAITING_MAX) {
      throw new QueueError(
        'database_busy',
        `too many look at the queue: ${WAITING_MAX} reads wait for their turn`,
      )
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** The reads of one part of an engine, as `perform` does each. */
export function readsOf<Part extends ReadingPart>(
  part: Part,
  perform: (name: string, given: unknown[]) => Promise<unknown>,
): Partial<Engine[Part]> {
  const methods = READS[part].map((name) => [name, (...given: unknown[]) => perform(name, given)])
  return Object.fromEntries(methods)
}

/** The same engine, whose reads pass a gate. */
export function gated(engine: Engine, gate: ReadGate): Engine {
  const part = <Part extends ReadingPart>(name: Part): Engine[Part] => {
    const methods = engine[name] as unknown as Record<string, Method>
    const reads = readsOf(name, (method, given) =>
      gate.pass(async () => await methods[method]?.(...given)),
    )
    return { ...engine[name], ...reads }
  }
  return {
    ...engine,
    runs: part('runs'),
    sessions: part('sessions'),
    runners: part('runners'),
    insight: part('insight'),
    overview: part('overview'),
    metrics: part('metrics'),
  }
}
