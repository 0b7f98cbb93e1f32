/** What must hold of runs: the ledger's acknowledged answers against the rows of the database. */
import { type Invariant, invariant } from '../../src/load/invariants.ts'
import { ERRORS } from '../../src/queue/recovery.ts'
import { isTerminal } from '../../src/queue/run.ts'
import type { Row } from './database.ts'
import {
  acknowledgedReport,
  type Evidence,
  grouped,
  type Holding,
  holdingsOf,
  isAcknowledged,
  rowsById,
  tellsParent,
} from './evidence.ts'

export function acknowledgedKept(evidence: Evidence): Invariant {
  const { ledger } = evidence
  const byId = rowsById(evidence)
  const faults: string[] = []
  let checked = 0
  const check = (run_id: string, prompt: string, content: Partial<Row>) => {
    checked += 1
    const row = byId.get(run_id)
    if (!row) faults.push(`${run_id} (${prompt}) was acknowledged and is not there`)
    else if (Object.entries(content).some(([name, value]) => row[name as keyof Row] !== value)) {
      faults.push(`${run_id} is not what was added: ${JSON.stringify(row)}`)
    }
  }
  for (const add of ledger.adds.filter(isAcknowledged)) {
    const { priority, max_attempts } = add
    for (const [at, run_id] of add.run_ids.entries()) {
      const prompt = add.prompts[at] ?? ''
      check(run_id, prompt, { prompt, priority, max_attempts })
    }
  }
  for (const { run_id, prompt } of ledger.retries.filter(isAcknowledged)) {
    check(run_id ?? '', prompt, { prompt })
  }
  return invariant('acknowledged_kept', 'every acknowledged run is there', checked, faults)
}

export function addedOnce({ ledger, rows }: Evidence): Invariant {
  const faults: string[] = []
  const keyed = ledger.adds.filter((add) => add.idempotency_key !== null && isAcknowledged(add))
  for (const [key, adds] of grouped(keyed, ({ idempotency_key }) => idempotency_key)) {
    const ids = new Set(adds.flatMap(({ run_ids }) => run_ids))
    if (ids.size > 1) faults.push(`idempotency key ${key} gave ${[...ids].join(', ')}`)
  }
  const retries = grouped(
    ledger.retries.filter(({ outcome }) => outcome !== 'refused'),
    ({ prompt }) => prompt,
  )
  const requested = rows.filter((row) => !tellsParent(row))
  const byPrompt = grouped(requested, ({ prompt }) => prompt)
  for (const [prompt, found] of byPrompt) {
    const allowed = 1 + (retries.get(prompt)?.length ?? 0)
    if (found.length <= allowed) continue
    const ids = found.map(({ run_id }) => run_id).join(', ')
    faults.push(`'${prompt}' was asked for ${allowed} times, but there are ${ids}`)
  }
  return invariant('added_once', 'no request made two runs', byPrompt.size, faults)
}

/** Every run has ended, and as the last acknowledged word on it says. */
export function legallyEnded(evidence: Evidence): Invariant {
  const holdings = holdingsOf(evidence)
  const cancelled = new Set(
    evidence.ledger.stops
      .filter((stop) => isAcknowledged(stop) && stop.says?.startsWith('Run cancelled'))
      .map(({ run_id }) => run_id),
  )
  const faults = evidence.rows.flatMap((row) => {
    const wrong =
      (cancelled.has(row.run_id) && row.status !== 'stopped' && 'its stop was acknowledged') ||
      wrongByReports(row, holdings.get(row.run_id) ?? []) ||
      wrongContent(row) ||
      (evidence.final && !isTerminal(row.status) && 'nothing ends it')
    return wrong ? [`${row.run_id} is ${row.status}, but ${wrong}`] : []
  })
  const claim = 'every run ended as it had to, and as its runner reported'
  return invariant('legally_ended', claim, evidence.rows.length, faults)
}

function wrongByReports(row: Row, holdings: Holding[]): string | null {
  for (const holding of holdings) {
    const { attempt, max_attempts, claim_token, runner_id } = holding
    const completed = acknowledgedReport(holding, 'completed')
    if (completed && (row.status !== 'completed' || row.claim_token !== claim_token)) {
      return `its completion by ${runner_id} was acknowledged`
    }
    const failed = acknowledgedReport(holding, 'failed')
    if (failed && attempt >= max_attempts && row.status !== 'failed') {
      return `the failure of its last attempt by ${runner_id} was acknowledged`
    }
    if (acknowledgedReport(holding, 'stopped') && row.status !== 'stopped') {
      return `its stop by ${runner_id} was acknowledged`
    }
  }
  return null
}

/** What runners report says by which claim, so that the row itself shows whose word it keeps. */
function wrongContent(row: Row): string | null {
  const word = `${row.prompt} by ${row.claim_token}`
  switch (row.status) {
    case 'completed':
      if (row.result_text !== word) return `its result is ${row.result_text}, not ${word}`
      return row.error === null ? null : `it has the error of another attempt: ${row.error}`
    case 'failed': {
      const words: (string | null)[] = [word, ERRORS.runnerLost, ERRORS.restartedStale]
      return words.includes(row.error) ? null : `its error is ${row.error}`
    }
    default:
      return row.result_text === null ? null : `it has a result: ${row.result_text}`
  }
}
