/** `npm run bench [section …]`: the ratios that the design binds, with what they come from. */
import { cpus } from 'node:os'
import { claimFigures } from './claim.ts'
import { httpFigures, memoryFigures } from './http.ts'
import { lifecycleFigures } from './lifecycle.ts'
import { postgresFigures } from './postgres.ts'
import { sizeFigures } from './size.ts'
import { startFigures } from './start.ts'
import { type Figure, say } from './support.ts'
import { waitingFigures } from './waiting.ts'

const SECTIONS: Record<string, () => Promise<Figure[]>> = {
  start: startFigures,
  claim: claimFigures,
  lifecycle: lifecycleFigures,
  http: httpFigures,
  waiting: waitingFigures,
  memory: memoryFigures,
  size: sizeFigures,
  postgres: postgresFigures,
}

function verdict({ value, bar, aim, better }: Figure): string {
  const reaches = (limit: number) => (better === 'less' ? value <= limit : value >= limit)
  if (reaches(aim)) return 'aim reached'
  return reaches(bar) ? 'bar reached' : 'BELOW BAR'
}

function line(figure: Figure): string {
  const { what, value, unit, bar, aim, better, detail } = figure
  const sign = better === 'less' ? '≤' : '≥'
  return `${verdict(figure).padEnd(11)}  ${value.toFixed(2).padStart(7)} ${unit.padEnd(2)}  ${sign} ${bar} (aim ${aim})  ${what}\n${' '.repeat(26)}${detail}`
}

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !(name in SECTIONS))
if (unknown.length > 0) {
  say(`unknown section ${unknown.join(', ')}: there are ${Object.keys(SECTIONS).join(', ')}`)
  process.exit(2)
}
const cpu = cpus()
console.log(`Node ${process.version}, ${cpu.length} × ${cpu[0]?.model.trim()}\n`)
let missed = false
for (const [name, measure] of Object.entries(SECTIONS)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  say(`${name} …`)
  for (const figure of await measure()) {
    console.log(line(figure))
    missed ||= verdict(figure) === 'BELOW BAR'
  }
}
process.exitCode = missed ? 1 : 0
