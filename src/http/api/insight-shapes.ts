/** What explanations hold. */
import { z } from 'zod'
import { type Condition, DEMAND_PROPERTIES } from '../../queue/demands.ts'
import type {
  Count,
  HeldRun,
  RunExplanation,
  RunnerExplanation,
  RunnerMatch,
  UnmetDemands,
} from '../../queue/insight.ts'
import * as example from './examples.ts'
import { demands, runStatus, text, timestamp } from './shapes.ts'

const count = z
  .object({
    count: z.int(),
    at_least: z.boolean().meta({ description: 'It was not counted further.' }),
  })
  .meta({ id: 'Count' }) satisfies z.ZodType<Count>

const values = z.union([z.string(), z.array(z.string())])

const condition = z
  .object({
    demand: z.enum([...DEMAND_PROPERTIES, 'tags', 'require_matching_tags']),
    wanted: values.meta({
      description:
        "What the run demands; of `require_matching_tags` the runner's tags, of which it wants one demanded.",
    }),
    offered: values.nullable().meta({
      description:
        'What the runner offers; of `require_matching_tags` the tags that the run demands.',
    }),
    met: z.boolean(),
  })
  .meta({ id: 'Condition' }) satisfies z.ZodType<Condition>

const heldRun = z
  .object({ run_id: z.string(), status: runStatus, since: timestamp.nullable() })
  .meta({ id: 'HeldRun' }) satisfies z.ZodType<HeldRun>

const state = z.enum(['online', 'stale', 'deregistered'])
const summary = z.string().meta({ description: 'For people.' })
const words = {
  summary,
  reasons: z.array(z.string()).meta({ description: 'For people, the most telling first.' }),
  outlook: text.meta({ description: 'What time will bring, where that is known.' }),
}

/** What is told of each runner, of whichever explanation. */
const runnerFields = {
  runner_id: z.string(),
  hostname: z.string(),
  state,
  last_heartbeat: timestamp,
  deregistered_at: timestamp.nullable(),
  holds: z.array(heldRun),
  holds_left_out: z.int(),
  next_run_id: text.meta({ description: 'What it would get by a claim now.' }),
}

const runnerMatch = z
  .object({
    ...runnerFields,
    satisfies: z.boolean().meta({ description: 'All conditions are met.' }),
    conditions: z.array(condition),
    summary,
  })
  .meta({ id: 'RunnerMatch' }) satisfies z.ZodType<RunnerMatch>

export const runExplanation = z
  .object({
    run_id: z.string(),
    status: runStatus,
    ...words,
    demands: demands.nullable(),
    priority: z.int(),
    runner_id: text,
    available_at: timestamp.nullable(),
    timeout_at: timestamp.nullable(),
    ahead: count.nullable().meta({ description: 'Claimable runs that come before it.' }),
    matching_runners: count.nullable().meta({ description: 'Runners online that could take it.' }),
    runners: z.array(runnerMatch).meta({ description: 'The nearest first.' }),
    runners_left_out: count,
  })
  .meta({
    id: 'RunExplanation',
    example: example.runExplanation,
  }) satisfies z.ZodType<RunExplanation>

const unmetDemands = z
  .object({
    demands: demands.nullable(),
    run_id: z.string().meta({ description: 'The first of the runs that demand it.' }),
    priority: z.int(),
    conditions: z.array(condition),
    summary,
  })
  .meta({ id: 'UnmetDemands' }) satisfies z.ZodType<UnmetDemands>

export const runnerExplanation = z
  .object({
    ...runnerFields,
    ...words,
    tags: z.array(z.string()),
    require_matching_tags: z.boolean(),
    next_available_at: timestamp.nullable().meta({
      description: 'When the next of the runs that wait for their time is claimable.',
    }),
    unmet: z.array(unmetDemands).meta({
      description: 'Demands of claimable runs that it does not meet, the nearest first.',
    }),
    unmet_left_out: count,
  })
  .meta({
    id: 'RunnerExplanation',
    example: example.runnerExplanation,
  }) satisfies z.ZodType<RunnerExplanation>
