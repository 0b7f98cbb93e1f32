// A thread of its own, since a checkpoint waits for the disk several times.
// JavaScript, so that Node starts it from the sources and from the build alike.
import { parentPort, workerData } from 'node:worker_threads'

const { default: Database } = await import(workerData.driver)
const client = new Database(workerData.path, { timeout: 1000 })

parentPort.on('message', ({ restart }) => {
  try {
    // Copies all that it can without anybody waiting …
    client.pragma('wal_checkpoint(PASSIVE)')
    // … and, when writers never pause, keeps them out for the moment that the rest takes.
    if (restart) client.pragma('wal_checkpoint(RESTART)')
  } catch {
    // Somebody else is at it, or the disk is full: the next message tries again.
  }
  parentPort.postMessage('done')
})
