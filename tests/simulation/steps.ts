/** What may happen next: one operation with chosen arguments, for queue and model alike. */
import * as client from './client-steps.ts'
import * as runner from './runner-steps.ts'
import type { Situation, Step } from './step.ts'
import * as time from './time-steps.ts'

/** A step that makes no sense now is null. */
type Choose = (now: Situation) => Step | null

const OPERATIONS: Record<string, { weight: number; choose: Choose }> = {
  add: { weight: 20, choose: client.add },
  addMany: { weight: 4, choose: client.addMany },
  resume: { weight: 6, choose: client.resume },
  claim: { weight: 25, choose: runner.claim },
  release: { weight: 4, choose: runner.release },
  start: { weight: 16, choose: (now) => runner.report(now, 'start') },
  complete: { weight: 8, choose: (now) => runner.report(now, 'complete') },
  fail: { weight: 10, choose: (now) => runner.report(now, 'fail') },
  confirmStop: { weight: 5, choose: (now) => runner.report(now, 'confirmStop') },
  stop: { weight: 6, choose: client.stop },
  stopSession: { weight: 4, choose: client.stopSession },
  takeStops: { weight: 5, choose: runner.takeStops },
  retry: { weight: 4, choose: client.retry },
  setDemands: { weight: 3, choose: client.setDemands },
  deleteSession: { weight: 22, choose: client.deleteSession },
  register: { weight: 8, choose: runner.register },
  heartbeat: { weight: 12, choose: (now) => runner.onRunner(now, 'heartbeat') },
  deregister: { weight: 1, choose: (now) => runner.onRunner(now, 'deregister') },
  removeRunner: { weight: 2, choose: runner.removeRunner },
  sweep: { weight: 9, choose: time.sweep },
  lookAhead: { weight: 2, choose: time.lookAhead },
  recover: { weight: 1, choose: time.recover },
}
const WEIGHTS = Object.fromEntries(
  Object.entries(OPERATIONS).map(([name, { weight }]) => [name, weight]),
)

export function chooseStep(now: Situation): Step {
  for (;;) {
    const step = OPERATIONS[now.random.weighted(WEIGHTS)]?.choose(now)
    if (step) return step
  }
}
