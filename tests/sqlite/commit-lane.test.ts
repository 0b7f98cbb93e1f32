import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { CommitLane } from '../../src/sqlite/commit-lane.ts'
import { type Client, loadDriver } from '../../src/sqlite/driver.ts'
import { refusal } from '../support/errors.ts'
import { tempDir } from '../support/temp-dir.ts'

interface Bench {
  lane: CommitLane
  client: Client
  /** Adds a row; inside a lane's operation. */
  insert: (word: string) => void
  /** What another connection finds. */
  stored: () => unknown[]
  /** How many transactions were committed. */
  commits: () => number
  /** Resolves when it was tried so often to begin one; the turn of the event loop of each. */
  tries: (count: number) => Promise<number[]>
  /** Another program that takes the write lock. */
  lock: () => { release: () => void }
}

/** @returns how often the event loop has turned, until the test ends */
function countTurns(): () => number {
  let turns = 0
  let next = setImmediate(count)
  function count() {
    turns += 1
    next = setImmediate(count)
  }
  onTestFinished(() => clearImmediate(next))
  return () => turns
}

async function openLane(busyDeadlineMs = 5000): Promise<Bench> {
  const Driver = await loadDriver()
  const path = join(tempDir(), 'lane.db')
  const trace: unknown[] = []
  const tried: number[] = []
  const turns = countTurns()
  const verbose = (sql: unknown) => {
    trace.push(sql)
    if (sql === 'BEGIN IMMEDIATE') tried.push(turns())
  }
  const client = new Driver(path, { timeout: 1, verbose })
  client.pragma('journal_mode = WAL')
  client.exec('CREATE TABLE words (word TEXT NOT NULL UNIQUE)')
  const other = new Driver(path, { timeout: 1 })
  onTestFinished(() => {
    client.close()
    other.close()
  })
  const add = client.prepare('INSERT INTO words VALUES (?)')
  const all = other.prepare('SELECT word FROM words ORDER BY rowid').pluck()
  return {
    lane: new CommitLane(client, { busyDeadlineMs }),
    client,
    insert: (word) => void add.run(word),
    stored: () => all.all(),
    commits: () => trace.filter((sql) => sql === 'COMMIT').length,
    async tries(count) {
      while (tried.length < count) await sleep(1)
      return tried
    },
    lock() {
      other.exec('BEGIN IMMEDIATE')
      return { release: () => void other.exec('ROLLBACK') }
    },
  }
}

describe('one commit for many', () => {
  it('operations that arrive together share it', async () => {
    const { lane, insert, stored, commits } = await openLane()
    const words = Array.from({ length: 50 }, (_, i) => `word ${i}`)
    const settled: string[] = []
    const returned = await Promise.all(
      words.map((word) =>
        lane
          .write(() => {
            insert(word)
            return word
          })
          .then((value) => {
            settled.push(value)
            return value
          }),
      ),
    )
    expect(commits()).toBe(1)
    expect(returned).toEqual(words)
    expect(settled).toEqual(words)
    expect(stored()).toEqual(words)
  })

  it('nobody is told before it is committed', async () => {
    const { lane, insert, stored } = await openLane()
    const seen = await Promise.all(
      ['a', 'b', 'c'].map((word) => lane.write(() => insert(word)).then(() => stored())),
    )
    expect(seen).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ])
  })

  it('a lone operation waits for no others', async () => {
    const { lane, insert, commits } = await openLane()
    await lane.write(() => insert('a'))
    await lane.write(() => insert('b'))
    expect(commits()).toBe(2)
  })

  it('a flood is committed in parts, so that the event loop goes on between them', async () => {
    const { lane, insert, stored, commits } = await openLane()
    let turns = 0
    const count = () => {
      turns += 1
      if (!over) setImmediate(count)
    }
    let over = false
    const all = Promise.all(
      Array.from({ length: 2000 }, (_, i) => lane.write(() => insert(`${i}`))),
    )
    setImmediate(count)
    await all
    over = true
    expect(stored()).toHaveLength(2000)
    expect(commits()).toBeGreaterThan(2)
    expect(turns).toBeGreaterThan(2)
  })

  it('tells once for each commit, and not of what came to nothing', async () => {
    const { client, insert } = await openLane()
    let told = 0
    const options = { busyDeadlineMs: 100, onCommit: () => void told++ }
    const lane = new CommitLane(client, options)
    await Promise.all(['a', 'b'].map((word) => lane.write(() => insert(word))))
    expect(told).toBe(1)
    await expect(lane.write(() => insert('a'))).rejects.toThrow()
    expect(told).toBe(1)
  })
})

describe('an operation that fails', () => {
  it('rejects only its caller and leaves no trace', async () => {
    const { lane, insert, stored, commits } = await openLane()
    const settled = await Promise.allSettled([
      lane.write(() => insert('before')),
      lane.write(() => {
        insert('first half')
        throw new Error('changed my mind')
      }),
      lane.write(() => {
        insert('other half')
        insert('before')
      }),
      lane.write(() => insert('after')),
    ])
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ])
    expect(settled[1]).toMatchObject({ reason: { message: 'changed my mind' } })
    expect(settled[2]).toMatchObject({ reason: { code: 'SQLITE_CONSTRAINT_UNIQUE' } })
    expect(stored()).toEqual(['before', 'after'])
    expect(commits()).toBe(1)
  })

  it('alone, rolls back all its statements, and the lane goes on', async () => {
    const { lane, insert, stored } = await openLane()
    const failing = lane.write(() => {
      insert('first')
      insert('second')
      insert('first')
    })
    await expect(failing).rejects.toMatchObject({ code: 'SQLITE_CONSTRAINT_UNIQUE' })
    expect(stored()).toEqual([])
    await lane.write(() => insert('first'))
    expect(stored()).toEqual(['first'])
  })

  it('among others that all fail, commits nothing', async () => {
    const { lane, stored, commits } = await openLane()
    const fail = () => {
      throw new Error('no')
    }
    const settled = await Promise.allSettled([lane.write(fail), lane.write(fail)])
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(commits()).toBe(0)
    expect(stored()).toEqual([])
  })

  it('because the disk is full, says so, and the lane goes on', async () => {
    const { lane, client, insert, stored } = await openLane()
    const pages = client.pragma('page_count', { simple: true })
    client.pragma(`max_page_count = ${pages}`)
    const writes = ['a', 'b'].map((word) => lane.write(() => insert(word.repeat(100_000))))
    for (const write of writes) await refusal(write, 'database_full')
    client.pragma('max_page_count = 100000')
    await lane.write(() => insert('room again'))
    expect(stored()).toEqual(['room again'])
  })
})

describe('a database that another program has locked', () => {
  it('is waited for without stopping the event loop', async () => {
    const { lane, insert, stored, lock, tries } = await openLane()
    const { release } = lock()
    const write = lane.write(() => insert('late'))
    const turns = await tries(20)
    expect(stored()).toEqual([])
    // Between one and the next the event loop was left to others.
    expect(new Set(turns).size).toBe(turns.length)
    release()
    await write
    expect(stored()).toEqual(['late'])
  })

  it('is busy after the deadline: each operation is refused at its own', async () => {
    const { lane, insert, stored, lock, tries } = await openLane(150)
    const { release } = lock()
    let now = 1000
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now)
    onTestFinished(() => clock.mockRestore())
    const refused = vi.fn()
    const first = refusal(
      lane.write(() => insert('first')),
      'database_busy',
    ).then(refused)
    now += 100
    const second = lane.write(() => insert('second'))
    now += 49
    const { length } = await tries(1)
    await tries(length + 2)
    expect(refused).not.toHaveBeenCalled()
    now += 1
    await first
    release()
    await second
    expect(stored()).toEqual(['second'])
  })

  it('keeps what waits in order', async () => {
    const { lane, insert, stored, lock, tries } = await openLane()
    const { release } = lock()
    const writes = [lane.write(() => insert('a'))]
    await tries(1)
    writes.push(lane.write(() => insert('b')))
    await tries(3)
    writes.push(lane.write(() => insert('c')))
    release()
    await Promise.all(writes)
    expect(stored()).toEqual(['a', 'b', 'c'])
  })
})

describe('drained', () => {
  it('resolves at once when nothing waits', async () => {
    const { lane, insert } = await openLane()
    await lane.drained()
    await lane.write(() => insert('a'))
    await lane.drained()
  })

  it('resolves after all that waits was committed, or refused', async () => {
    const { lane, insert, stored } = await openLane()
    const outcomes: string[] = []
    for (let i = 0; i < 600; i++) {
      void lane.write(() => insert(`${i}`)).then(() => outcomes.push('done'))
    }
    lane.write(() => insert('0')).catch(() => outcomes.push('refused'))
    await lane.drained()
    expect(stored()).toHaveLength(600)
    await Promise.resolve()
    expect(outcomes).toHaveLength(601)
  })

  it('resolves when a locked database was given up', async () => {
    const { lane, insert, lock } = await openLane(50)
    const { release } = lock()
    const refused = refusal(
      lane.write(() => insert('a')),
      'database_busy',
    )
    await lane.drained()
    await refused
    release()
  })
})
