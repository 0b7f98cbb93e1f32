/** /runners, as it is described. */
import { z } from 'zod'
import { removeRunnerQuery } from '../schemas.ts'
import { runnerExplanation } from './insight-shapes.ts'
import { describeRoutes } from './route.ts'
import { runner } from './shapes.ts'

export const RUNNERS = describeRoutes({
  'GET /runners': {
    summary: 'List runners',
    description: 'In order of registration.',
    answers: {
      200: { description: 'The runners', schema: z.object({ runners: z.array(runner) }) },
    },
  },
  'GET /runners/:runner_id/explain': {
    summary: 'Ask why a runner gets nothing',
    description:
      'How it stands, what it holds, what it would get next, and what it lacks for what is claimable.',
    answers: { 200: { description: 'The explanation', schema: runnerExplanation } },
    errors: ['runner_not_found'],
  },
  'DELETE /runners/:runner_id': {
    summary: 'Remove a runner',
    description:
      'It is told at its next poll, or at its current one, and leaves. With `self=true` the runner itself signs off, and is removed at once.',
    query: removeRunnerQuery,
    answers: {
      200: {
        description: 'Marked, or removed',
        schema: z.object({
          ok: z.literal(true),
          message: z.string(),
          initiated_by: z.enum(['self', 'external']),
        }),
        example: {
          ...{ ok: true, message: 'Runner marked for deregistration', initiated_by: 'external' },
        },
      },
    },
    errors: ['runner_not_found', 'runner_not_registered', 'runner_not_yours'],
  },
})
