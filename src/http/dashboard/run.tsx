/** All there is to know of a run. */
import type { Engine } from '../../queue/engine.ts'
import { QueueError } from '../../queue/errors.ts'
import type { Terms } from '../../queue/insight.ts'
import { isTerminal, type JsonValue, type Run, type Timestamp } from '../../queue/run.ts'
import type { Runner } from '../../queue/runner.ts'
import { RunWhy } from './explanation.tsx'
import { Button, Facts, Text } from './facts.tsx'
import { DemandChips, Id, line, Status, sessionHref, Theirs, Time, Took, View } from './parts.tsx'
import { Holder, type Hosts, hostsOf } from './runs-table.tsx'
import { EVENTS_SHOWN, Timeline } from './timeline.tsx'

export async function runPage(
  engine: Engine,
  runners: readonly Runner[],
  run_id: string,
  terms: Terms,
  now: Timestamp,
) {
  const run = await engine.runs.get(run_id)
  if (!run) throw new QueueError('run_not_found', 'Run not found')
  const explanation = await engine.insight.explainRun(run_id, terms, now)
  const { events, next_cursor } = await engine.runs.events(run_id, { limit: EVENTS_SHOWN })
  const hosts = hostsOf(runners)
  return (
    <View
      title={`Run ${run_id}, ${run.status}`}
      follow={{ run_id }}
      heading={<Heading run={run} />}
    >
      <div class="sides">
        <div>
          <RunWhy explanation={explanation} />
          {events.length > 0 && (
            <section class="card" aria-labelledby="history-title">
              <h2 id="history-title">History</h2>
              <Timeline events={events} hosts={hosts} isCut={next_cursor !== null} />
            </section>
          )}
          {run.error !== null && <Block title="Error" text={run.error} bad />}
          <Result run={run} />
          {run.prompt !== null && <Block title="Prompt" text={run.prompt} prose />}
          <Parameters run={run} />
        </div>
        <div>
          <section class="card" aria-labelledby="facts-title">
            <h2 id="facts-title">Facts</h2>
            <RunFacts run={run} hosts={hosts} />
          </section>
        </div>
      </div>
    </View>
  )
}

const Heading = ({ run }: { run: Run }) => {
  const { run_id, status } = run
  const path = `/runs/${encodeURIComponent(run_id)}`
  return (
    <div class="title">
      <h1 tabindex={-1}>
        <span class="kind">Run</span> <span class="id">{run_id}</span>
      </h1>
      <Status of={status} />
      <span class="actions">
        {!isTerminal(status) && status !== 'stopping' && (
          <Button
            post={`${path}/stop`}
            confirm="Stop this run?"
            words={
              status === 'pending'
                ? 'It is not handed out any more. This cannot be taken back; it can be added again with Retry.'
                : 'Its runner is asked to stop it. This cannot be taken back.'
            }
            danger
          >
            Stop
          </Button>
        )}
        {(status === 'failed' || status === 'stopped') && (
          <Button post={`${path}/retry`}>Retry</Button>
        )}
      </span>
      <p class="summary">
        <Theirs>{line(run.prompt)}</Theirs>
      </p>
    </div>
  )
}

const RunFacts = ({ run, hosts }: { run: Run; hosts: Hosts }) => (
  <Facts
    facts={[
      ['Added', <Time at={run.created_at} />],
      ['Available', run.available_at && <Time at={run.available_at} />],
      ['Claimed', run.claimed_at && <Time at={run.claimed_at} />],
      ['Started', run.started_at && <Time at={run.started_at} />],
      ['Ended', run.completed_at && <Time at={run.completed_at} />],
      ['Ran', run.started_at && <Took run={run} />],
      ['Given up', run.status === 'pending' && run.timeout_at && <Time at={run.timeout_at} />],
      ['Runner', run.runner_id && <Holder runner_id={run.runner_id} hosts={hosts} />],
      ['Session', <Id href={sessionHref(run.session_id)}>{run.session_id}</Id>],
      [
        'Parent',
        run.parent_session_id && (
          <Id href={sessionHref(run.parent_session_id)}>{run.parent_session_id}</Id>
        ),
      ],
      ['Type', run.type],
      ['Mode', run.execution_mode],
      ['Agent', run.agent_name && <Theirs>{run.agent_name}</Theirs>],
      ['Directory', run.project_dir && <Theirs>{run.project_dir}</Theirs>],
      ['Demands', <DemandChips demands={run.demands} />],
      ['Priority', String(run.priority)],
      ['Attempt', `${run.attempt} of ${run.max_attempts}`],
      ['When lost', run.on_lost],
    ]}
  />
)

function Result({ run: { result } }: { run: Run }) {
  if (result === null) return null
  return (
    <>
      {result.text !== null && <Block title="Result" text={result.text} prose />}
      {result.data !== null && <Block title="Result data" text={jsonText(result.data)} />}
    </>
  )
}

function Parameters({ run }: { run: Run }) {
  const { prompt: _, ...others } = run.parameters
  if (Object.keys(others).length === 0) return null
  return <Block title="Parameters" text={jsonText(others)} />
}

const jsonText = (value: JsonValue): string => JSON.stringify(value, null, 2)

interface BlockProps {
  title: string
  text: string
  bad?: boolean
  prose?: boolean
}

const Block = ({ title, text, bad = false, prose = false }: BlockProps) => (
  <section class={bad ? 'card bad' : 'card'}>
    <h2>{title}</h2>
    <Text label={title} prose={prose}>
      {text}
    </Text>
  </section>
)
