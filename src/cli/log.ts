import pino, { type Logger } from 'pino'
import pretty from 'pino-pretty'

/** Lines for people on a terminal, JSON for everything else; on stderr, as it is no command's output. */
export function createLog(level: string): Logger {
  const stream = process.stderr.isTTY
    ? pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' })
    : pino.destination({ dest: 2, sync: false })
  return pino({ level }, stream)
}
