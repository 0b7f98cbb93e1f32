/** All simulated runners of a load: comes, works, beats, goes. */
import type { RegisterAnswer } from '../client/index.ts'
import type { Capabilities } from '../queue/demands.ts'
import { HttpClient } from './http.ts'
import { SimulatedRunner, type Workplace } from './simulated-runner.ts'
import { inParallel, pause } from './timing.ts'

export interface Crew {
  /** What each registered runner offers, by its id. */
  readonly capabilities: ReadonlyMap<string, Capabilities>
  /** Resolves when all have left, which `leave` of the workplace tells them to. */
  readonly left: Promise<void>
}

/** How many connect at a time: a server's queue of new connections is short. */
const STARTING = 64

/**
 * Registers a runner for each of the capabilities; each begins to work at once, and keeps the
 * connection on which it registered.
 * @param signal ends the coming; who is there stays
 * @throws Refused, NoAnswer when one cannot register
 */
export async function startRunners(
  server: { url: string; token: string | null },
  wanted: readonly Capabilities[],
  place: Workplace,
  beats: HttpClient,
  signal: AbortSignal,
): Promise<Crew> {
  const capabilities = new Map<string, Capabilities>()
  const working: Promise<void>[] = []
  let beatSeconds = 60
  await inParallel(wanted, STARTING, signal, async (offered) => {
    const client = new HttpClient(server.url, 1, server.token)
    const { runner_id, heartbeat_interval_seconds } = await client.post<RegisterAnswer>(
      '/runner/register',
      offered,
    )
    beatSeconds = heartbeat_interval_seconds
    capabilities.set(runner_id, offered)
    const runner = new SimulatedRunner(runner_id, client, place)
    working.push(runner.work().finally(() => client.close()))
  })
  working.push(beatForAll([...capabilities.keys()], beatSeconds, beats, place))
  return { capabilities, left: Promise.all(working).then(() => {}) }
}

/** Evenly over time: hearts do not beat in step. */
async function beatForAll(
  runner_ids: readonly string[],
  seconds: number,
  client: HttpClient,
  { leave, failures }: Workplace,
): Promise<void> {
  const begin = performance.now()
  const gapMs = (seconds * 1000) / runner_ids.length
  for (let beat = 0; ; beat += 1) {
    await pause(begin + beat * gapMs - performance.now(), leave)
    if (leave.aborted) return
    const runner_id = runner_ids[beat % runner_ids.length]
    await client.post('/runner/heartbeat', { runner_id }).catch((error) => {
      failures.count('heartbeat', error)
    })
  }
}
