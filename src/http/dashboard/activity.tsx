/** What happened lately, as figures that the page draws and as a table that anybody can read. */
import type { ActivityBucket } from '../../queue/activity.ts'
import type { Engine } from '../../queue/engine.ts'
import type { Timestamp } from '../../queue/run.ts'
import { timestamp } from '../../queue/time.ts'
import { durationText, Nothing, numberText, Table } from './parts.tsx'

/** Buckets that begin at whole minutes and quarters, so that a figure grows and does not crawl. */
export const SPANS = {
  hour: { words: 'Hour', title: 'the last hour', seconds: 60, count: 60, again: 10 },
  day: { words: 'Day', title: 'the last day', seconds: 900, count: 96, again: 60 },
} as const
export type Span = keyof typeof SPANS

export async function activityPart({ overview }: Engine, span: Span, now: Timestamp) {
  const { seconds, count, title, again } = SPANS[span]
  const last = Math.floor(Date.parse(now) / 1000 / seconds) * seconds
  const from = timestamp(new Date((last - (count - 1) * seconds) * 1000))
  const buckets = await overview.activity(from, seconds, count)
  const isExact = buckets.every(({ exact }) => exact)
  /** That a sample has none does not say that there was none. */
  const total = (kind: 'added' | 'completed' | 'failed' | 'stopped') => {
    const sum = buckets.reduce((before, bucket) => before + bucket[kind], 0)
    return sum === 0 && !isExact ? 'few or none' : numberText(sum)
  }
  // The last one is not over yet.
  const sinceLast = Math.min(seconds, Date.parse(now) / 1000 - last)
  const series = buckets.map((bucket, index) => [
    ...[Date.parse(bucket.at) / 1000, index === buckets.length - 1 ? sinceLast : seconds],
    ...[bucket.added, bucket.completed, bucket.failed, bucket.wait_median, bucket.wait_p90],
  ])
  return (
    <div class="activity" data-again={again} data-series={JSON.stringify(series)}>
      <p class="faint">
        In {title}: {isExact ? '' : 'about '}
        <b>{total('added')}</b> added, <b>{total('completed')}</b> completed,{' '}
        <b>{total('failed')}</b> failed, <b>{total('stopped')}</b> stopped.
        {!isExact && ' Where much happened, this is estimated from a sample of the history.'}
      </p>
      <div class="plots" aria-hidden="true">
        <figure>
          <figcaption>Runs a minute</figcaption>
          <div class="plot" data-plot="throughput" data-keep="" />
        </figure>
        <figure>
          <figcaption>How long the claimed had waited</figcaption>
          <div class="plot" data-plot="waiting" data-keep="" />
        </figure>
      </div>
      <details>
        <summary>The same as a table</summary>
        <BucketTable buckets={buckets.filter((each) => !isQuiet(each)).reverse()} title={title} />
      </details>
    </div>
  )
}

const isQuiet = ({ added, started, completed, failed, stopped, wait_median }: ActivityBucket) =>
  added + started + completed + failed + stopped === 0 && wait_median === null

function BucketTable({ buckets, title }: { buckets: ActivityBucket[]; title: string }) {
  if (buckets.length === 0) return <p class="empty">Nothing happened in {title}.</p>
  return (
    <Table label={`Activity in ${title}`}>
      <thead>
        <tr>
          <th scope="col">From</th>
          {['Added', 'Started', 'Completed', 'Failed', 'Stopped', 'Median wait', '90 % waited'].map(
            (name) => (
              <th scope="col" class="number">
                {name}
              </th>
            ),
          )}
        </tr>
      </thead>
      <tbody>
        {buckets.map((bucket) => (
          <tr>
            <th scope="row">
              <time datetime={bucket.at} data-as="at" />
            </th>
            <td class="number">{numberText(bucket.added)}</td>
            <td class="number">{numberText(bucket.started)}</td>
            <td class="number">{numberText(bucket.completed)}</td>
            <td class="number">{numberText(bucket.failed)}</td>
            <td class="number">{numberText(bucket.stopped)}</td>
            <td class="number">
              <Wait seconds={bucket.wait_median} />
            </td>
            <td class="number">
              <Wait seconds={bucket.wait_p90} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  )
}

const Wait = ({ seconds }: { seconds: number | null }) =>
  seconds === null ? <Nothing /> : durationText(seconds)
