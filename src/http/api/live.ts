/** The live streams, as they are described. */
import { eventsQuery, lastEventIdHeader, sessionStreamQuery } from '../schemas.ts'
import { describeRoutes } from './route.ts'

const contentType = 'text/event-stream'
const ERRORS = ['unknown_event_id', 'too_many_waiting'] as const
const AGAIN =
  'A client that comes again with the `id` of the last event that it has, as `Last-Event-ID` or `last_event_id`, is told first what it missed. One that is too slow is cut off, and comes again.'

export const LIVE = describeRoutes({
  'GET /events': {
    summary: 'Follow runs live',
    description: `Server-sent events: \`event\` is the status that a run has now, \`data\` its change as in its history, with the \`session_id\`. Ids are opaque; \`0\` is before all that is kept. ${AGAIN}`,
    query: eventsQuery,
    headers: lastEventIdHeader,
    answers: { 200: { description: 'A stream without end', contentType } },
    errors: ['run_not_found', ...ERRORS],
  },
  'GET /sse/sessions': {
    summary: 'Follow sessions live',
    description: `Server-sent events: \`init\` first, with all sessions (the newest 1 000), then \`session_created\`, \`session_updated\`, \`session_deleted\`, \`event\` (something that was told in a session) and \`run_failed\` (nobody took it in time, or its runner was lost). What changes is kept for as long as somebody follows and an hour longer, the last 10 000 of them. ${AGAIN} If some of that is not kept any more, it begins anew with \`init\`.`,
    query: sessionStreamQuery,
    headers: lastEventIdHeader,
    answers: { 200: { description: 'A stream without end', contentType } },
    errors: ERRORS,
  },
})
