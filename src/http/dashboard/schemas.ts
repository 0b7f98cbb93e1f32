/** What the views may be asked with. Empty means absent: a form sends all of its fields. */
import { z } from 'zod'
import { RUN_STATUSES } from '../../queue/run.ts'

const text = (length: number) =>
  z
    .string()
    .max(length)
    .transform((value) => value.trim() || undefined)
    .optional()

const cursor = text(200)

export const overviewQuery = z.object({ span: z.enum(['hour', 'day']).default('hour') })

/** Words that are no statuses are left out, as GET /runs does. */
export const runsQuery = z.object({
  q: text(200),
  agent: text(500),
  status: z
    .string()
    .max(1000)
    .default('')
    .transform((words) => RUN_STATUSES.filter((status) => words.split(',').includes(status))),
  session_id: text(200),
  runner_id: text(200),
  cursor,
})

export const pageQuery = z.object({ cursor })
