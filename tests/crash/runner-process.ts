/** A process with several runners, which is killed now and then. Its notes go to the harness. */
import { setMaxListeners } from 'node:events'
import { HttpClient } from '../../src/load/http.ts'
import { seededRandom } from '../../src/load/random.ts'
import type { Capabilities } from '../../src/queue/demands.ts'
import { CrashRunner } from './crash-runner.ts'
import { Notary, type Note } from './notes.ts'

export interface Beginning {
  url: string
  seed: number
  runners: Capabilities[]
}

export type ToRunners = Beginning | 'calm'
export type FromRunners = { id: number; note: Note } | { id: number; facts: Partial<Note> }

const calm = new AbortController()
let notes = 0

const say = (message: FromRunners) => void process.send?.(message)

function begin({ url, seed, runners }: Beginning): void {
  const random = seededRandom(seed)
  setMaxListeners(0)
  const client = new HttpClient(url, 64)
  const notary = new Notary(client, (note) => {
    const id = notes
    notes += 1
    say({ id, note })
    return (facts) => say({ id, facts: facts as Partial<Note> })
  })
  for (const offers of runners) {
    void new CrashRunner({ notary, offers, random, calm: calm.signal }).work()
  }
}

process.once('disconnect', () => process.exit())
process.on('message', (message: ToRunners) => {
  if (message === 'calm') calm.abort()
  else begin(message)
})
