/** What must hold of children that call back: each end is told to the parent, and once. */
import { type Invariant, invariant } from '../../src/load/invariants.ts'
import { isTerminal } from '../../src/queue/run.ts'
import { type Evidence, grouped, tellsParent } from './evidence.ts'

/** Rows are read as of one moment: then each end has been told, or waits for its parent's time. */
export function toldOnce({ rows, untold, final }: Evidence): Invariant {
  const told = rows
    .filter(tellsParent)
    .flatMap(({ prompt, session_id }) =>
      [...prompt.matchAll(/ session="(\w+)"/g)].map(([, child]) => `${child} to ${session_id}`),
    )
  const waiting = untold.map(({ child, parent }) => `${child} to ${parent}`)
  const ended = rows.flatMap(({ execution_mode, parent_session_id, session_id, status }) =>
    execution_mode === 'async_callback' && parent_session_id !== session_id && isTerminal(status)
      ? [`${session_id} to ${parent_session_id}`]
      : [],
  )
  const countOf = (keys: string[]) => {
    const groups = grouped(keys, (key) => key)
    return (key: string) => groups.get(key)?.length ?? 0
  }
  const [endedOf, toldOf, waitingOf] = [countOf(ended), countOf(told), countOf(waiting)]
  const faults = [...new Set([...ended, ...told, ...waiting])].flatMap((key) => {
    const counts = `${endedOf(key)} ends, ${toldOf(key)} told, ${waitingOf(key)} waiting`
    const isRight = endedOf(key) === toldOf(key) + waitingOf(key) && !(final && waitingOf(key) > 0)
    return isRight ? [] : [`${key}: ${counts}`]
  })
  const claim = 'each child’s end is told to its parent, once'
  return invariant('told_once', claim, ended.length, faults)
}
