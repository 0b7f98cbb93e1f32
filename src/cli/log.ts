import pino, { type Logger } from 'pino'

/** Lines for people on a terminal, JSON for everything else; on stderr, as it is no command's output. */
export async function createLog(level: string): Promise<Logger> {
  const stream = process.stderr.isTTY
    ? (await import('pino-pretty')).default({
        destination: 2,
        sync: true,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss',
      })
    : pino.destination({ dest: 2, sync: false })
  return pino({ level }, stream)
}
