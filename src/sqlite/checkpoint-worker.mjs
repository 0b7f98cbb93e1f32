// A thread of its own, since a checkpoint waits for the disk several times.
// JavaScript, so that Node starts it from the sources and from the build alike.
import { parentPort, workerData } from 'node:worker_threads'

const { default: Database } = await import(workerData.driver)
// A restart keeps writers out while it waits for readers, so it does not wait long.
const client = new Database(workerData.path, { timeout: 100 })

const copy = () => client.pragma('wal_checkpoint(PASSIVE)')[0]

/**
 * A long read, say a backup, needs the log as it is: nothing more of it can be copied. Where a
 * restart was tried all the same, writes took up to a second each (now 60 ms at the worst).
 */
function isHeld(first, second) {
  return second.checkpointed === first.checkpointed && second.checkpointed < first.log
}

parentPort.on('message', ({ restart }) => {
  try {
    // Copies all that it can without anybody waiting …
    const first = copy()
    // … and, when writers never pause, keeps them out for the moment that the rest takes.
    if (restart && !isHeld(first, copy())) client.pragma('wal_checkpoint(RESTART)')
  } catch {
    // Somebody else is at it, or the disk is full: the next message tries again.
  }
  parentPort.postMessage('done')
})
