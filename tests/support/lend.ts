import type { Engine } from '../../src/queue/engine.ts'

/** To open an engine and to prepare its statements takes longer than most tests. */
export function lend(engine: Engine, idle: Engine[]): Engine {
  const subscriptions = new Set<() => void>()
  return {
    ...engine,
    changes: {
      subscribe(listener) {
        const unsubscribe = engine.changes.subscribe(listener)
        subscriptions.add(unsubscribe)
        return unsubscribe
      },
    },
    async close() {
      for (const unsubscribe of subscriptions) unsubscribe()
      idle.push(engine)
    },
  }
}
