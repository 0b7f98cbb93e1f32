/** Rows as aligned columns, one line each. */
import type { Output } from './context.ts'
import { cutTo, displayWidth, oneLine } from './text.ts'

export interface Column<Row> {
  title: string
  /** The cell's text as stored; null prints as `-`. */
  value(row: Row): string | null
  /** Colours the cell by its text. */
  style?: (output: Output, text: string) => string
}

/** Enough of the last column to be worth a line that wraps. */
const LAST_MIN = 10

/** On a terminal the last column is cut where the terminal ends. */
export function printTable<Row>(output: Output, columns: Column<Row>[], rows: Row[]): void {
  const titles = columns.map((column) => column.title)
  const cells = rows.map((row) => columns.map(({ value }) => oneLine(value(row) ?? '') || '-'))
  const widths = titles.map((title, index) =>
    cells.reduce((width, row) => Math.max(width, displayWidth(row[index] ?? '')), title.length),
  )
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0)
  const last = Math.max(LAST_MIN, (output.columns ?? Number.POSITIVE_INFINITY) - before)
  const line = (texts: string[], style: (text: string, index: number) => string) =>
    texts
      .map((text, index) => {
        if (index === texts.length - 1) return style(cutTo(text, last), index)
        return style(text, index) + ' '.repeat((widths[index] ?? 0) - displayWidth(text))
      })
      .join('  ')
  const header = output.style(
    'bold',
    line(titles, (text) => text),
  )
  const body = cells.map((row) =>
    line(row, (text, index) => columns[index]?.style?.(output, text) ?? text),
  )
  output.write(`${[header, ...body].join('\n')}\n`)
}
