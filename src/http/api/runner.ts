/** /runner and /agents, as they are described: what runners call. */
import { z } from 'zod'
import {
  claimBody,
  completedBody,
  failedBody,
  pollQuery,
  registerBody,
  reportBody,
  runnerBody,
  sessionReportBody,
  stoppedBody,
} from '../schemas.ts'
import * as example from './examples.ts'
import { describeRoutes } from './route.ts'
import { claimedRun, ok } from './shapes.ts'

const ITS_OWN = ['runner_not_registered', 'runner_not_yours'] as const
const REFUSED_REPORTS = [
  ...ITS_OWN,
  ...['run_not_found', 'run_not_held', 'run_wrong_status', 'claim_token_mismatch'],
] as const

const taken = { 200: { description: 'Taken, or known already', schema: ok, example: { ok: true } } }
const ids = z.array(z.string())

const claimed = z.object({
  runs: z.array(claimedRun),
  stop_runs: ids.meta({ description: 'Runs to stop.' }),
  stop_sessions: ids.meta({ description: 'Sessions to stop.' }),
  deregistered: z.boolean().meta({ description: 'The runner was removed and should leave.' }),
})

export const RUNNER = describeRoutes({
  'POST /runner/register': {
    summary: 'Register a runner',
    description:
      'The same host, directory and executor give the same runner_id: a restarted runner is recognised.',
    body: registerBody,
    example: example.registration,
    answers: {
      200: {
        description: 'Registered',
        schema: z.object({
          runner_id: z.string(),
          poll_endpoint: z.string(),
          poll_timeout_seconds: z.number(),
          heartbeat_interval_seconds: z.number(),
        }),
        example: {
          runner_id: example.runner_id,
          poll_endpoint: '/runner/runs',
          poll_timeout_seconds: 30,
          heartbeat_interval_seconds: 60,
        },
      },
    },
    errors: ['duplicate_runner', ...ITS_OWN],
  },
  'GET /runner/runs': {
    summary: 'Poll for work',
    description: 'Waits until there is something, or the poll time is over.',
    query: pollQuery,
    answers: {
      200: {
        description: 'A run, or what to stop, or that the runner was removed',
        schema: z.union([
          z.object({ run: claimedRun }),
          z.object({ stop_runs: ids, stop_sessions: ids }),
          z.object({ deregistered: z.literal(true) }),
        ]),
        example: { run: example.claimedRun },
      },
      204: { description: 'Nothing yet' },
    },
    errors: [...ITS_OWN, 'too_many_waiting'],
  },
  'POST /runner/runs/claim': {
    summary: 'Claim runs',
    description:
      'Waits up to `wait_seconds` until there is something. Repeated with the same `claim_key`, it returns the same runs.',
    body: claimBody,
    example: { runner_id: example.runner_id, limit: 2, wait_seconds: 30 },
    answers: {
      200: {
        description: 'Runs, or what to stop; all lists are empty where the time was over',
        schema: claimed,
        example: {
          ...{ runs: [example.claimedRun], stop_runs: [], stop_sessions: [], deregistered: false },
        },
      },
    },
    errors: [...ITS_OWN, 'too_many_waiting'],
  },
  'POST /runner/runs/:run_id/started': {
    summary: 'Report that a run began',
    body: reportBody,
    example: example.report,
    answers: taken,
    errors: REFUSED_REPORTS,
  },
  'POST /runner/runs/:run_id/completed': {
    summary: 'Report that a run completed',
    body: completedBody,
    example: { ...example.report, result: { text: 'done', data: { loss: 0.1 } } },
    answers: taken,
    errors: REFUSED_REPORTS,
  },
  'POST /runner/runs/:run_id/failed': {
    summary: 'Report that a run failed',
    description: 'It is pending again while attempts are left.',
    body: failedBody,
    example: { ...example.report, error: 'out of memory' },
    answers: taken,
    errors: REFUSED_REPORTS,
  },
  'POST /runner/runs/:run_id/stopped': {
    summary: 'Report that a run was stopped',
    body: stoppedBody,
    example: { ...example.report, signal: 'SIGTERM' },
    answers: taken,
    errors: REFUSED_REPORTS,
  },
  'POST /runner/sessions/:session_id/status': {
    summary: 'Report how the executor of a session ended',
    body: sessionReportBody,
    example: { runner_id: example.runner_id, status: 'finished' },
    answers: taken,
    errors: [...ITS_OWN, 'session_not_found', 'session_not_held', 'invalid_session_status'],
  },
  'POST /runner/heartbeat': {
    summary: 'Say that the runner is alive',
    body: runnerBody,
    example: { runner_id: example.runner_id },
    answers: { 200: { description: 'It is online', schema: ok, example: { ok: true } } },
    errors: ITS_OWN,
  },
  'GET /agents': {
    summary: 'List agents',
    description: 'None: agents are not the business of this service.',
    answers: {
      200: { description: 'An empty list', schema: z.array(z.object({})).max(0), example: [] },
    },
  },
  'GET /agents/:name': {
    summary: 'Look at an agent',
    description: 'Every name is one, and empty: runners of the older generations look for it.',
    answers: {
      200: {
        description: 'The agent',
        schema: z.object({
          name: z.string(),
          description: z.literal(''),
          status: z.literal('active').meta({ description: 'Always that.' }),
        }),
        example: { name: 'reviewer', description: '', status: 'active' },
      },
    },
  },
})
