/** What a run asks of its runner here, as its parameters say. */
export const PLANS = ['complete', 'fail', 'fail_sometimes', 'until_stopped'] as const
export type Plan = (typeof PLANS)[number]

/** A type, since it goes as JSON. */
export type Parameters = {
  prompt: string
  plan: Plan
  work_ms: number
  /** How long after it was added the run may be claimed. */
  delay_ms: number
}
