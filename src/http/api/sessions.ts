/** /sessions, as it is described. */
import { z } from 'zod'
import { bindBody, listSessionsQuery, metadataBody, sessionEventBody } from '../schemas.ts'
import * as example from './examples.ts'
import { describeRoutes } from './route.ts'
import { nextCursor, ok, session, sessionEvent, sessionResult, sessionStatus } from './shapes.ts'

const { session_id } = example.session
const ofSession = z.object({ session })
const changed = z.object({ ok: z.literal(true), session })

export const SESSIONS = describeRoutes({
  'GET /sessions': {
    summary: 'List sessions',
    description: 'Newest first.',
    query: listSessionsQuery,
    answers: {
      200: {
        description: 'A page of sessions',
        schema: z.object({ sessions: z.array(session), next_cursor: nextCursor }),
      },
    },
    errors: ['invalid_cursor'],
  },
  'GET /sessions/:session_id': {
    summary: 'Look at a session',
    answers: { 200: { description: 'The session', schema: ofSession } },
    errors: ['session_not_found'],
  },
  'GET /sessions/:session_id/status': {
    summary: 'Look at the status of a session',
    answers: {
      200: {
        description: 'Its status, also where there is no such session',
        schema: z.object({ status: z.union([sessionStatus, z.literal('not_existent')]) }),
        example: { status: 'running' },
      },
    },
  },
  'GET /sessions/:session_id/result': {
    summary: 'Read the result of a session',
    description: 'Of its latest completed run.',
    answers: {
      200: {
        description: 'The result',
        schema: sessionResult,
        example: { result_text: 'done', result_data: { loss: 0.1 }, result: 'done' },
      },
    },
    errors: ['session_not_found', 'session_not_finished', 'result_not_found'],
  },
  'GET /sessions/:session_id/affinity': {
    summary: 'Look where a session lives',
    answers: {
      200: {
        description: 'Where runs that resume it must go; null as long as it is not bound',
        schema: z.object({
          affinity: session.pick({
            ...{ session_id: true, hostname: true, project_dir: true, executor_profile: true },
          }),
        }),
        example: {
          affinity: {
            session_id,
            hostname: 'alpha',
            project_dir: '/project',
            executor_profile: 'coding',
          },
        },
      },
    },
    errors: ['session_not_found'],
  },
  'POST /sessions/:session_id/bind': {
    summary: 'Bind a session to where it runs',
    body: bindBody,
    example: example.binding,
    answers: { 200: { description: 'The session, running', schema: changed } },
    errors: ['session_not_found'],
  },
  'POST /sessions/:session_id/events': {
    summary: 'Add an event to a session',
    description: 'An event of type `result` carries the result of the session.',
    body: sessionEventBody,
    example: example.newSessionEvent,
    answers: { 201: { description: 'Added', schema: ok, example: { ok: true } } },
    errors: ['session_not_found', 'session_id_mismatch'],
  },
  'GET /sessions/:session_id/events': {
    summary: 'Read the events of a session',
    description: 'Oldest first, at most 100.',
    answers: {
      200: { description: 'The events', schema: z.object({ events: z.array(sessionEvent) }) },
    },
    errors: ['session_not_found'],
  },
  'PATCH /sessions/:session_id/metadata': {
    summary: 'Change what is known of a session',
    description: 'What is absent or null stays as it is.',
    body: metadataBody,
    example: { agent_name: 'reviewer' },
    answers: { 200: { description: 'The session', schema: changed } },
    errors: ['session_not_found'],
  },
  'POST /sessions/:session_id/stop': {
    summary: 'Stop a session',
    description: 'Its active run, or, when it is idle, the executor that waits.',
    answers: {
      200: {
        description: 'What became of it',
        schema: z.object({
          ok: z.literal(true),
          session_id: z.string(),
          run_id: z.string().optional(),
          status: sessionStatus,
          message: z.string().optional(),
        }),
        example: { ok: true, session_id, status: 'stopping' },
      },
    },
    errors: ['session_not_found'],
  },
  'DELETE /sessions/:session_id': {
    summary: 'Delete a session with its runs and events',
    answers: {
      200: {
        description: 'Deleted, and how much went with it',
        schema: z.object({
          ok: z.literal(true),
          session_id: z.string(),
          deleted: z.object({
            session: z.literal(true),
            events_count: z.int(),
            runs_count: z.int(),
          }),
        }),
        example: {
          ok: true,
          session_id,
          deleted: { session: true, events_count: 4, runs_count: 1 },
        },
      },
    },
    errors: ['session_not_found', 'session_active'],
  },
})
