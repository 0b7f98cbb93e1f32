import type { ActivityBucket } from './activity.ts'
import { cursorText, type Position } from './cursor.ts'
import type { Demands } from './demands.ts'
import type { Count } from './insight.ts'
import type { Run, RunStatus, Timestamp } from './run.ts'

/** How far runs of one status, or of one demand group, are counted. */
export const COUNT_LIMIT = 10_000
export const GROUP_COUNT_LIMIT = 1000
/** How many pairs of demands and priority are looked at for the groups. */
export const GROUP_HEADS_LIMIT = 1000
/** How many of the latest events are looked through for runs that ended. */
export const ENDED_LOOK = 2000
/** How many of the newest runs one page of a search looks through. */
export const SEARCH_LIMIT = 1000

/** How many runs are in each status that will change again, up to {@link COUNT_LIMIT}. */
export interface Standing {
  /** `scheduled` ones among them. */
  pending: Count
  /** Those that wait for their time: a delay, or another attempt. */
  scheduled: Count
  claimed: Count
  running: Count
  stopping: Count
}

/** Claimable runs that demand the same. */
export interface DemandGroup {
  demands: Demands | null
  /** Up to {@link GROUP_COUNT_LIMIT}. */
  waiting: Count
  /** The one that waits longest of those that come first in their priority, and since when … */
  oldest: { run_id: string; since: Timestamp }
  /** … and the one that is claimed next. */
  next_run_id: string
}

export interface DemandGroups {
  /** Whose oldest run waits longest comes first. */
  groups: DemandGroup[]
  groups_left_out: Count
}

export interface RunSearch {
  /** Only these statuses; absent: all. */
  statuses?: readonly RunStatus[] | undefined
  session_id?: string | undefined
  runner_id?: string | undefined
  agent_name?: string | undefined
  /** Stands somewhere in the prompt; A to Z mean the same as a to z. */
  text?: string | undefined
  limit: number
  /** `next_cursor` of the page before. */
  cursor?: string | undefined
}

export interface FoundRuns {
  runs: Run[]
  /** Goes on where this page stopped to look; a page may hold nothing though there is a next one. */
  next_cursor: string | null
  /** When the last run that was looked at was added; null where there was none. */
  looked_back_to: Timestamp | null
}

export interface EndedRuns {
  runs: Run[]
  /** Where there are fewer than asked for: others may have ended before this. */
  looked_back_to: Timestamp | null
}

/**
 * What people look at who watch the queue: reads only, bounded whatever is stored, and by index, so
 * that a page which is open all day costs next to nothing.
 */
export interface Overview {
  standing(): Promise<Standing>
  /**
   * What waits, by what it demands: one seek for each pair of demands and priority, of at most
   * {@link GROUP_HEADS_LIMIT}. Runs that wait for their time are not among them.
   * @param limit how many groups at most
   */
  demandGroups(limit: number): Promise<DemandGroups>
  /**
   * What ended last comes first: found in the history, since runs are in no order of their ends. Looks
   * through the latest {@link ENDED_LOOK} events.
   */
  ended(limit: number): Promise<EndedRuns>
  /**
   * What happened in `count` spans of `seconds` each, the first of which begins at `from`; `count` is
   * at most 100. Read from the history, which lives as long as its runs.
   */
  activity(from: Timestamp, seconds: number, count: number): Promise<ActivityBucket[]>
  /** Looks through the newest {@link SEARCH_LIMIT} runs, then where the cursor goes on. */
  search(search: RunSearch): Promise<FoundRuns>
}

/** The first claimable run of one pair of demands and priority. */
export interface GroupHead {
  seq: number
  run_id: string
  demands: Demands | null
  priority: number
  /** Since when it can be claimed. */
  since: Timestamp
}

export interface HeadsOfGroup {
  next: GroupHead
  oldest: GroupHead
}

/** @returns the groups, the longest waiting first */
export function groupHeads(heads: readonly GroupHead[]): HeadsOfGroup[] {
  const groups = new Map<string, HeadsOfGroup>()
  for (const head of heads) {
    const key = JSON.stringify(head.demands)
    const { next, oldest } = groups.get(key) ?? { next: head, oldest: head }
    groups.set(key, {
      next: head.priority > next.priority ? head : next,
      oldest: head.since < oldest.since ? head : oldest,
    })
  }
  return [...groups.values()].sort(
    (a, b) => Date.parse(a.oldest.since) - Date.parse(b.oldest.since),
  )
}

/** @param counted how many wait in the first groups, one further than the limit; @param looked heads */
export function demandGroups(
  groups: readonly HeadsOfGroup[],
  counted: readonly number[],
  looked: number,
): DemandGroups {
  return {
    groups: groups.slice(0, counted.length).map(({ next, oldest }, index) => ({
      demands: next.demands,
      waiting: upTo(counted[index] ?? 0, GROUP_COUNT_LIMIT),
      oldest: { run_id: oldest.run_id, since: oldest.since },
      next_run_id: next.run_id,
    })),
    groups_left_out: {
      count: groups.length - counted.length,
      at_least: looked >= GROUP_HEADS_LIMIT,
    },
  }
}

/** @param counted one further than the limit, so that it is known whether there are more */
export const upTo = (counted: number, limit: number): Count => ({
  count: Math.min(counted, limit),
  at_least: counted > limit,
})

/**
 * @param found one more than the limit, if there are as many
 * @param last where the page stopped to look
 */
export function foundPage(
  found: (Run & Position)[],
  limit: number,
  last: Position & { looked: number },
): FoundRuns {
  const shown = found.slice(0, limit)
  const isFull = found.length > limit
  const end = isFull ? (shown.at(-1) ?? last) : last
  return {
    runs: shown.map(({ seq: _, ...run }) => run),
    next_cursor: isFull || last.looked === SEARCH_LIMIT ? cursorText(end) : null,
    looked_back_to: end.created_at,
  }
}
