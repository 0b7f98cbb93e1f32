/** What several views show: a status, a time, a run in a line, demands. */
import type { Child } from 'hono/jsx'
import type { Demands } from '../../queue/demands.ts'
import { DEMAND_PROPERTIES } from '../../queue/demands.ts'
import type { Count } from '../../queue/insight.ts'
import type { Run, Timestamp } from '../../queue/run.ts'
import { secondsBetween } from '../../queue/time.ts'

/** Drawn in a square of 12: a shape beside the colour, for those who see no colours. */
const SHAPES = {
  pending: <circle cx="6" cy="6" r="4" class="line" />,
  claimed: (
    <>
      <circle cx="6" cy="6" r="4" class="line" />
      <path d="M6 2a4 4 0 0 1 0 8z" />
    </>
  ),
  running: <path d="M3.5 1.8 10.2 6l-6.7 4.2z" />,
  stopping: <rect x="2.5" y="2.5" width="7" height="7" rx="1" class="line" />,
  completed: <path d="m2.2 6.4 2.6 2.6 5-6" class="line" />,
  failed: <path d="m2.6 2.6 6.8 6.8m0-6.8-6.8 6.8" class="line" />,
  stopped: <rect x="2.5" y="2.5" width="7" height="7" rx="1" />,
  online: <circle cx="6" cy="6" r="3.5" />,
  stale: <path d="M6 1.8 11 10.4H1z" class="line" />,
} as const
type Shape = keyof typeof SHAPES

const SAME: Readonly<Record<string, Shape>> = {
  deregistered: 'stopped',
  idle: 'claimed',
  finished: 'completed',
}

export function Mark({ of }: { of: string }) {
  const shape = SHAPES[(SAME[of] ?? of) as Shape] ?? SHAPES.pending
  return (
    <svg class="mark" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {shape}
    </svg>
  )
}

export const Status = ({ of }: { of: string }) => (
  <span class={`status is-${of}`}>
    <Mark of={of} />
    {of}
  </span>
)

/**
 * An instant, which the page turns into `5m ago`, `in 5m` or `5m` (how long since) and keeps right as
 * time passes; the instant itself is shown by the pointer.
 */
export const Time = ({ at, as = 'ago' }: { at: Timestamp | null; as?: 'ago' | 'for' | 'at' }) =>
  at === null ? <Nothing /> : <time datetime={at} data-as={as} />

export const Nothing = () => <span class="nothing">–</span>

/** Text that somebody else wrote: it may run from right to left, and change nothing around it. */
export const Theirs = ({ children }: { children: string | null }) =>
  children === null || children === '' ? <Nothing /> : <bdi>{children}</bdi>

/** A prompt may be megabytes, and a line shows its beginning. */
const LINE_LENGTH = 160

export function line(text: string | null): string {
  const start = (text ?? '')
    .slice(0, LINE_LENGTH * 2)
    .replace(/\s+/g, ' ')
    .trim()
  return start.length > LINE_LENGTH ? `${start.slice(0, LINE_LENGTH)}…` : start
}

export const runHref = (run_id: string) => `/dashboard/runs/${encodeURIComponent(run_id)}`
export const runnerHref = (id: string) => `/dashboard/runners/${encodeURIComponent(id)}`
export const sessionHref = (id: string) => `/dashboard/sessions/${encodeURIComponent(id)}`

/** What a run is about, as the link to it. */
export const RunLink = ({ run }: { run: Pick<Run, 'run_id' | 'prompt'> }) => (
  <a class="prompt" href={runHref(run.run_id)}>
    <Theirs>{line(run.prompt) || run.run_id}</Theirs>
  </a>
)

export const Id = ({ children, href }: { children: string | null; href?: string }) =>
  children === null ? (
    <Nothing />
  ) : href ? (
    <a class="id" href={href}>
      {children}
    </a>
  ) : (
    <span class="id">{children}</span>
  )

export function DemandChips({ demands }: { demands: Demands | null }) {
  if (demands === null) return <span class="faint">anything goes</span>
  return (
    <span class="chips">
      {DEMAND_PROPERTIES.flatMap((property) => {
        const value = demands[property]
        if (value === undefined) return []
        return [
          <span class="chip">
            <span class="faint">{property.replace('executor_', '')}</span> <Theirs>{value}</Theirs>
          </span>,
        ]
      })}
      <Tags tags={demands.tags} />
    </span>
  )
}

export const Tags = ({ tags }: { tags: readonly string[] }) => (
  <>
    {tags.map((tag) => (
      <span class="chip tag">
        <Theirs>{tag}</Theirs>
      </span>
    ))}
  </>
)

const wholes = new Intl.NumberFormat('en').format
export const numberText = (value: number): string => wholes(value)
/** `10,000+` where it was not counted further. */
export const countText = ({ count, at_least }: Count): string =>
  `${numberText(count)}${at_least ? '+' : ''}`

/** How long it ran: till its end, or till now. */
export function Took({ run }: { run: Pick<Run, 'started_at' | 'completed_at'> }) {
  const { started_at, completed_at } = run
  if (started_at === null) return <Nothing />
  if (completed_at === null) return <Time at={started_at} as="for" />
  return <>{durationText(secondsBetween(started_at, completed_at))}</>
}

/** `0.3s`, `12s`, `3m 5s`, `2h 10m`. */
export function durationText(seconds: number): string {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)}s`
  const [days, hours, minutes, rest] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
    Math.floor(seconds) % 60,
  ]
  if (days > 0) return `${days}d ${hours}h`
  if (hours > 0) return `${hours}h ${minutes}m`
  return minutes > 0 ? `${minutes}m ${rest}s` : `${rest}s`
}

/** Wide tables scroll by themselves, and by the keyboard. */
export const Table = ({ label, children }: { label: string; children: Child }) => (
  <section class="scroll" tabindex={0} aria-label={label}>
    <table>{children}</table>
  </section>
)

export interface ViewProps {
  title: string
  /** The title is there for the eye too. */
  heading?: Child
  /** Which runs' changes bring this view up to date; absent: it does not follow them. */
  follow?: 'all' | { run_id: string } | { session_id: string }
  children: Child
}

export function View({ title, heading, follow, children }: ViewProps) {
  const query =
    follow === undefined || follow === 'all' ? '' : new URLSearchParams({ ...follow }).toString()
  return (
    <div class="view" data-title={title} data-follow={follow === undefined ? undefined : query}>
      {heading ?? <h1 tabindex={-1}>{title}</h1>}
      {children}
    </div>
  )
}
