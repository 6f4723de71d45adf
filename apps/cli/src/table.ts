/** A column of a table. */
export interface Column<Row> {
  title: string
  text(row: Row): string
  /** Fewest characters the column is cut to where the terminal is too narrow; absent = never cut. */
  shrinkTo?: number
}

const gap = 2

/** Rows as aligned text with a head line, cut to `width` columns where one is given; ends with a line feed. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width?: number): string {
  const cells = [columns.map((column) => column.title), ...rows.map((row) => columns.map((column) => printable(column.text(row))))]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)))
  if (width !== undefined) shrink(widths, columns, width)
  return cells
    .map(
      (line) =>
        `${line
          .map((text, index) => cut(text, widths[index] ?? 0))
          .join(" ".repeat(gap))
          .trimEnd()}\n`,
    )
    .join("")
}

/** Text without what a terminal would act on. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "?")
}

function shrink<Row>(widths: number[], columns: readonly Column<Row>[], width: number): void {
  const excess = () => widths.reduce((sum, each) => sum + each, 0) + gap * (widths.length - 1) - width
  for (let over = excess(); over > 0; over = excess()) {
    let widest = -1
    columns.forEach(({ shrinkTo, title }, index) => {
      const own = widths[index] ?? 0
      if (shrinkTo !== undefined && own > Math.max(shrinkTo, title.length) && own > (widths[widest] ?? 0)) widest = index
    })
    if (widest === -1) return
    widths[widest] = (widths[widest] ?? 0) - 1
  }
}

function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text.padEnd(width)
}
