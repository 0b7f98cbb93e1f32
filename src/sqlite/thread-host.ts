/** The threads' side of {@link openSqliteThread}: opens what it is told to and does what is called for. */
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import type { Engine } from '../queue/engine.ts'
import { DatabaseOpenError, QueueError } from '../queue/errors.ts'
import { openSqliteEngine, openSqliteReads, type SqliteOptions } from './engine.ts'
import type { Call, Message, Opening, Role } from './thread-calls.ts'

const PARTS = [
  ...(['runs', 'sessions', 'runners', 'tokens', 'storage'] as const),
  ...(['insight', 'metrics', 'runFeed', 'sessionFeed', 'overview'] as const),
]

type Method = (...given: unknown[]) => unknown

const port = parentPort

/** Of 19. */
const READS_NICE = 10
const OPENERS = { engine: openSqliteEngine, reads: openSqliteReads }

/** Opens the database, says how that went, and then does what comes. */
export async function serve(role: Role, options: SqliteOptions): Promise<void> {
  const open = (message: Opening) => port?.postMessage(message)
  // On Linux this is of the thread alone: where cores are short, those who look come second.
  if (role === 'reads' && process.platform === 'linux') setPriority(READS_NICE)
  try {
    serveCalls(await OPENERS[role](options))
    open({ ready: true })
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    open(error instanceof DatabaseOpenError ? { refused: said } : { failed: said })
  }
}

function serveCalls(engine: Engine): void {
  const methods = methodsOf(engine)
  port?.on('message', (text: string) => {
    for (const call of JSON.parse(text) as Call[]) void perform(call)
  })

  async function perform([id, name, given]: Call): Promise<void> {
    try {
      const method = methods.get(name)
      if (!method) throw new TypeError(`the engine has no ${name}`)
      say([id, 'returned', await method(...given)])
    } catch (error) {
      say(unsuccessful(id, error))
    }
  }
}

function methodsOf(engine: Engine): Map<string, Method> {
  const methods = new Map<string, Method>()
  for (const part of PARTS) {
    for (const [name, method] of Object.entries(engine[part])) {
      methods.set(`${part}.${name}`, method as Method)
    }
  }
  let unsubscribe = () => {}
  methods.set('watch', () => {
    unsubscribe = engine.changes.subscribe((news) => say([null, 'news', news]))
  })
  methods.set('unwatch', () => unsubscribe())
  methods.set('close', () => engine.close())
  return methods
}

function unsuccessful(id: number, error: unknown): Message {
  if (error instanceof QueueError) return [id, 'refused', error.code, error.message, error.facts]
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return [id, 'failed', message, stack]
}

let outbox: Message[] = []

/** All that one commit settled goes as one message: it is sent when those who waited were told. */
function say(message: Message): void {
  if (outbox.push(message) > 1) return
  process.nextTick(() => {
    port?.postMessage(JSON.stringify(outbox))
    outbox = []
  })
}
