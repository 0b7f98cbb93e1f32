/** What is asked of the service itself, as it is described. */
import { z } from 'zod'
import { describeRoutes } from './route.ts'

export const SERVICE = describeRoutes({
  'GET /health': {
    summary: 'Ask whether the server answers',
    answers: {
      200: {
        description: 'It does',
        schema: z.object({ status: z.literal('healthy').meta({ description: 'Always that.' }) }),
        example: { status: 'healthy' },
      },
    },
  },
  'GET /metrics': {
    summary: 'Read the metrics',
    description:
      'For Prometheus, in its text format. What is counted of the queue is the same on every server process of it; what is of the process itself begins with `runqueue_process_`.',
    answers: { 200: { description: 'The metrics', contentType: 'text/plain' } },
    errors: ['metrics_behind'],
  },
  'GET /openapi.json': {
    summary: 'Read this description',
    answers: {
      200: {
        description: 'An OpenAPI 3.1 document',
        schema: z.looseObject({ openapi: z.string() }),
      },
    },
  },
  'GET /docs': {
    summary: 'Read this description as a page',
    answers: { 200: { description: 'A page that needs no network', contentType: 'text/html' } },
  },
})
