// JavaScript, so that Node starts it from the sources and from the build alike: from the sources, as
// in tests and development, Node 20 needs tsx to read the rest.
import { workerData } from 'node:worker_threads'

if (workerData.host.endsWith('.ts')) {
  const { register } = await import('tsx/esm/api')
  register()
}
const { serve } = await import(workerData.host)
await serve(workerData.role, workerData.options)
