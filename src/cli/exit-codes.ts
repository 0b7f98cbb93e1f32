/** What the exit code says: scripts rely on it, so this table is the only place that knows. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  stopped: 3,
  unreachable: 4,
  refused: 5,
  waitedOut: 6,
  denied: 7,
  interrupted: 130,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

const MEANINGS: Record<keyof typeof EXIT, string> = {
  ok: 'done; of a run that was waited for: it completed',
  failed: 'the run failed, or the command itself',
  usage: 'the command line makes no sense',
  stopped: 'the run was stopped',
  unreachable: 'the server cannot be reached',
  refused: 'the server refused; the reason is printed',
  waitedOut: 'wait --timeout ran out, the run goes on',
  denied: 'a token is missing, or may not do this',
  interrupted: 'interrupted, a run that was waited for goes on',
}

/** The table as `--help` prints it. */
export const EXIT_CODES_HELP = Object.entries(EXIT)
  .map(([name, code]) => `  ${String(code).padEnd(4)} ${MEANINGS[name as keyof typeof EXIT]}`)
  .join('\n')
