/** A column of a table. */
export interface Column<Row> {
  title: string
  text(row: Row): string
  /** Fewest characters the column is cut to where the terminal is too narrow; absent = never cut. */
  shrinkTo?: number
}

const gap = 2
/** What stands in place of columns that there is no room for. */
const more = "…"

/**
 * Rows as aligned text with a head line; ends with a line feed. Where `width` is given, columns are cut to it, and those at the right end
 * left out where that is not enough; the first one always stays.
 */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width?: number): string {
  const cells = [columns.map((column) => column.title), ...rows.map((row) => columns.map((column) => printable(column.text(row))))]
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)))
  const kept = width === undefined ? columns.length : fit(widths, columns, width)
  return cells
    .map((line, index) => {
      const texts = line.slice(0, kept).map((text, at) => cut(text, widths[at] ?? 0))
      if (kept < columns.length && index === 0) texts.push(more)
      return `${texts.join(" ".repeat(gap)).trimEnd()}\n`
    })
    .join("")
}

/** Text without what a terminal would act on. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "?")
}

/** Makes the widths smaller until they fit; how many columns there is room for. */
function fit<Row>(widths: number[], columns: readonly Column<Row>[], width: number): number {
  for (let kept = columns.length; kept > 1; kept--) {
    const room = kept === columns.length ? width : width - gap - more.length
    const tried = widths.slice(0, kept)
    shrink(tried, columns, room)
    if (spread(tried) > room) continue
    widths.splice(0, kept, ...tried)
    return kept
  }
  widths[0] = Math.min(widths[0] ?? 0, Math.max(1, width - (columns.length > 1 ? gap + more.length : 0)))
  return 1
}

const spread = (widths: readonly number[]) => widths.reduce((sum, each) => sum + each, 0) + gap * (widths.length - 1)

function shrink<Row>(widths: number[], columns: readonly Column<Row>[], width: number): void {
  for (let over = spread(widths) - width; over > 0; over--) {
    let widest = -1
    widths.forEach((own, index) => {
      const { shrinkTo, title } = columns[index] ?? { title: "" }
      if (shrinkTo !== undefined && own > Math.max(shrinkTo, title.length) && own > (widths[widest] ?? 0)) widest = index
    })
    if (widest === -1) return
    widths[widest] = (widths[widest] ?? 0) - 1
  }
}

function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text.padEnd(width)
}
