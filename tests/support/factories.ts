/** Rows with defaults: a test states only what matters to it. */
import type { NewRun } from '../../src/queue/run.ts'
import type { NewRunner } from '../../src/queue/runner.ts'
import { type NewToken, tokenHash } from '../../src/queue/token.ts'

let made = 0

/** Twelve hex digits that no other call in this process gives. */
export function uniqueHex(): string {
  made += 1
  return made.toString(16).padStart(12, '0')
}

export const aNewRun = (facts: Partial<NewRun> = {}): NewRun => ({
  run_id: `run_${uniqueHex()}`,
  session_id: `ses_${uniqueHex()}`,
  type: 'start_session',
  parameters: { prompt: 'hello' },
  ...facts,
})

export const aNewRunner = (facts: Partial<NewRunner> = {}): NewRunner => ({
  runner_id: `lnch_${uniqueHex()}`,
  hostname: 'alpha',
  project_dir: '/project',
  executor_type: null,
  executor_profile: 'coding',
  executor: null,
  agents: null,
  tags: [],
  require_matching_tags: false,
  ...facts,
})

export const someTokens = (count: number): string[] =>
  Array.from({ length: count }, () => `token-${uniqueHex()}`)

export function aNewToken(facts: Partial<NewToken> = {}): NewToken {
  const hex = uniqueHex()
  return {
    token_id: `tok_${hex}`,
    name: `token ${hex}`,
    role: 'runner',
    token_hash: tokenHash(hex),
    expires_at: null,
    ...facts,
  }
}
