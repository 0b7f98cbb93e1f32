/** What is stored for how long, and the room that it takes. */
import type { Storage } from '../queue/storage.ts'
import type { CommitLane } from './commit-lane.ts'
import type { Database } from './database.ts'
import { preparePrune } from './prune.ts'
import { prepareVacuum } from './vacuum.ts'

/** @param shorten brings what was given back to the file */
export function createStorage(
  { orm, client }: Pick<Database, 'orm' | 'client'>,
  lane: CommitLane,
  shorten: () => void,
): Storage {
  const { prune } = preparePrune(orm)
  const vacuum = prepareVacuum(client)
  return {
    prune: (options) => lane.write(() => prune(options)),

    async giveBack() {
      const bytes = vacuum.isWorthIt() ? await lane.write(() => vacuum.step()) : 0
      if (bytes > 0 && !vacuum.isWorthIt()) shorten()
      return bytes
    },
  }
}
