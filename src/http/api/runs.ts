/** /runs, as it is described. */
import { z } from 'zod'
import {
  addRunBody,
  addRunsBody,
  getRunQuery,
  idempotencyHeader,
  listRunsQuery,
  runEventsQuery,
} from '../schemas.ts'
import * as example from './examples.ts'
import { runExplanation } from './insight-shapes.ts'
import { describeRoutes } from './route.ts'
import { addedRun, nextCursor, run, runEvent, runStatus, sessionStatus } from './shapes.ts'

const BOUNDS = ['queue_full', 'rate_limited'] as const
const REFUSED_RUNS = [
  ...['session_id_required', 'parameter_validation_failed', 'session_not_found'],
  ...[
    'parent_not_found',
    'parent_too_deep',
    'session_exists',
    'run_exists',
    'idempotency_conflict',
  ],
  'unmatchable',
] as const

const stopping = z.object({
  ok: z.literal(true),
  run_id: z.string(),
  session_id: z.string(),
  status: z.union([runStatus, sessionStatus]),
  message: z.string().optional(),
})

export const RUNS = describeRoutes({
  'POST /runs': {
    summary: 'Add a run',
    description:
      'A `start_session` run creates its session, a `resume_session` run needs one that exists. With an idempotency key a repeated request returns the first run.',
    headers: idempotencyHeader,
    body: addRunBody,
    example: example.addRun,
    answers: {
      201: { description: 'Added', schema: addedRun },
      200: { description: 'This idempotency key led to the run that was there', schema: addedRun },
    },
    errors: [...REFUSED_RUNS, ...BOUNDS],
  },
  'POST /runs/batch': {
    summary: 'Add many runs',
    description: 'All or none of them, in one commit.',
    body: addRunsBody,
    example: { runs: [example.addRun] },
    answers: {
      201: {
        description: 'Added, in the order of the request',
        schema: z.object({ runs: z.array(addedRun) }),
      },
    },
    errors: [...REFUSED_RUNS, ...BOUNDS],
  },
  'GET /runs': {
    summary: 'List runs',
    description: 'Newest first.',
    query: listRunsQuery,
    answers: {
      200: {
        description: 'A page of runs',
        schema: z.object({ runs: z.array(run), next_cursor: nextCursor }),
      },
    },
    errors: ['invalid_cursor'],
  },
  'GET /runs/:run_id': {
    summary: 'Look at a run, or wait for its end',
    query: getRunQuery,
    answers: {
      200: { description: 'The run: ended, or as it was when the wait was over', schema: run },
    },
    errors: ['run_not_found', 'too_many_waiting'],
  },
  'GET /runs/:run_id/events': {
    summary: 'Read the history of a run',
    description: 'Oldest first: each change with its cause and who made it.',
    query: runEventsQuery,
    answers: {
      200: {
        description: 'A page of changes',
        schema: z.object({ events: z.array(runEvent), next_cursor: nextCursor }),
      },
    },
    errors: ['run_not_found', 'invalid_cursor'],
  },
  'GET /runs/:run_id/explain': {
    summary: 'Ask why a run does not start',
    description:
      'How it stands, how many runs come before it, and what each runner offers of what it demands.',
    answers: { 200: { description: 'The explanation', schema: runExplanation } },
    errors: ['run_not_found'],
  },
  'POST /runs/:run_id/stop': {
    summary: 'Stop a run',
    description:
      'A pending run is stopped at once; a run at work is `stopping` until its runner confirms; one that has ended stays as it is, and the answer has the status of its session.',
    answers: {
      200: {
        description: 'What became of it',
        schema: stopping,
        example: example.stopping,
      },
    },
    errors: ['run_not_found'],
  },
  'POST /runs/:run_id/retry': {
    summary: 'Retry a failed or stopped run',
    description: 'A new run with the same content.',
    answers: { 201: { description: 'Added', schema: addedRun } },
    errors: ['run_not_found', 'run_wrong_status', 'session_active', ...BOUNDS],
  },
})
