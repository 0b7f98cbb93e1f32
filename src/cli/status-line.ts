/** What goes on while somebody waits: one live line on a terminal, a line per change elsewhere. */
import type { Output } from './context.ts'
import { duration, oneLine } from './text.ts'

export interface StatusLine {
  /** `since` (milliseconds since the epoch) makes a terminal count the time along. */
  show(status: { words: string; since: number | null; hint: string | null }): void
  /** Takes the live line away; afterwards others may write. */
  clear(): void
}

/** `name` begins the lines of a log; on a terminal the command just typed says it. */
export function statusLine(output: Output, name: string, now: () => Date): StatusLine {
  return output.isTty ? liveLine(output, now) : logLines(output, name)
}

function liveLine(output: Output, now: () => Date): StatusLine {
  let timer: NodeJS.Timeout | null = null
  let text = () => ''
  const draw = () => {
    const width = (output.columns ?? 80) - 1
    output.write(`\r\u001b[2K${output.style('dim', oneLine(text(), width))}`)
  }
  return {
    show({ words, since, hint }) {
      text = () => {
        const time = since === null ? '' : ` for ${duration((now().getTime() - since) / 1000)}`
        return `${words}${time}${hint === null ? '' : `: ${hint}`}`
      }
      timer ??= setInterval(draw, 1000)
      draw()
    },
    clear() {
      if (timer === null) return
      clearInterval(timer)
      timer = null
      output.write('\r\u001b[2K')
    },
  }
}

function logLines(output: Output, name: string): StatusLine {
  let last = ''
  return {
    show({ words, hint }) {
      const line = oneLine(hint === null ? `${name} ${words}` : `${name} ${words}: ${hint}`)
      if (line !== last) output.write(`${line}\n`)
      last = line
    },
    clear() {},
  }
}
