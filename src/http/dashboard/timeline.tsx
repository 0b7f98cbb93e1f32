import type { RunEvent } from '../../queue/run-event.ts'
import { detailOf, eventWords } from '../../queue/run-event-words.ts'
import { secondsBetween } from '../../queue/time.ts'
import { durationText, Mark, Theirs, Time } from './parts.tsx'
import type { Hosts } from './runs-table.tsx'

/** So many events are shown of a run; one with hundreds of attempts has more. */
export const EVENTS_SHOWN = 200

interface Props {
  events: readonly RunEvent[]
  hosts: Hosts
  isCut: boolean
}

/** What happened to a run, oldest first, each with the time since what was before. */
export const Timeline = ({ events, hosts, isCut }: Props) => (
  <>
    <ol class="timeline">
      {events.map((event, index) => (
        <Entry event={event} before={events[index - 1]} hosts={hosts} />
      ))}
    </ol>
    {isCut && <p class="faint foot">More followed: only the first {EVENTS_SHOWN} are shown.</p>}
  </>
)

function Entry(props: { event: RunEvent; before: RunEvent | undefined; hosts: Hosts }) {
  const { event, before, hosts } = props
  const { event_id, at, to_status, runner_id } = event
  const detail = detailOf(event)
  return (
    <li id={`event-${event_id}`}>
      <span class="when">
        {before ? `+${durationText(secondsBetween(before.at, at))}` : <Time at={at} as="at" />}
      </span>
      <span class={`what is-${to_status}`}>
        <Mark of={to_status} />
        <b>{to_status}</b> <Theirs>{eventWords(event, hosts.get(runner_id ?? ''))}</Theirs>
        {detail !== null && (
          <span class="detail">
            : <Theirs>{detail}</Theirs>
          </span>
        )}
      </span>
    </li>
  )
}
