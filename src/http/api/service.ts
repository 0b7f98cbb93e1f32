/** What is asked of the service itself, as it is described. */
import { z } from 'zod'
import { describeRoutes } from './route.ts'

export const SERVICE = describeRoutes({
  'GET /health': {
    summary: 'Ask whether the server answers',
    answers: {
      200: {
        description: 'It does',
        schema: z.object({ status: z.literal('healthy') }),
        example: { status: 'healthy' },
      },
    },
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
