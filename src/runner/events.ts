/** What a runner tells about itself while it works: a word for programs, a sentence for people. */

export interface RunnerEvent {
  event:
    | 'registered'
    | 'claimed'
    | 'stopping'
    | 'completed'
    | 'failed'
    | 'stopped'
    | 'report_refused'
    | 'report_undelivered'
    | 'retrying'
    | 'recovered'
    | 'draining'
    | 'deregistered'
    | 'ended'
  message: string
  run_id?: string
  session_id?: string
}

export type Log = (event: RunnerEvent) => void
