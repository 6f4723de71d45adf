import { expect, it } from "vitest"
import { type Column, formatTable, printable } from "./table.ts"

const columns: readonly Column<[string, string, string]>[] = [
  { title: "NAME", text: ([name]) => name, shrinkTo: 4 },
  { title: "N", text: ([, number]) => number },
  { title: "WHY", text: ([, , why]) => why, shrinkTo: 5 },
]

it("aligns columns and leaves no blanks at line ends", () => {
  expect(
    formatTable(columns, [
      ["a", "1", "because"],
      ["longer", "22", ""],
    ]),
  ).toBe("NAME    N   WHY\na       1   because\nlonger  22\n")
})

it.each([30, 24, 20, 17])("fits into %i columns", (width) => {
  const table = formatTable(columns, [["a-long-name", "22", "a long reason that takes space"]], width)
  for (const line of table.split("\n")) expect(line.length).toBeLessThanOrEqual(width)
  expect(table).toContain("22")
  expect(table).toContain("…")
})

it("leaves columns out at the right end where cutting is not enough, and shows that it did", () => {
  const row: [string, string, string][] = [["a-long-name", "22", "a long reason"]]
  expect(formatTable(columns, row, 15)).toBe("NAME  N   WHY\na-l…  22  a lo…\n")
  expect(formatTable(columns, row, 14)).toBe("NAME     N   …\na-long…  22\n")
  expect(formatTable(columns, row, 10)).toBe("NAME     …\na-long…\n")
})

it.each([1, 2, 3, 7, 8, 11, 12, 40])("no line is longer than %i columns", (width) => {
  const wide = [{ title: "ONE", text: () => "x".repeat(90) }, ...columns] as Column<[string, string, string]>[]
  for (const shown of [columns, wide]) {
    const lines = formatTable(shown, [["a-long-name", "22", "a long reason that takes space"]], width).split("\n")
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(Math.max(width, 4))
  }
})

it("never hands control characters to the terminal", () => {
  expect(printable("a\u001b[31mb\r\n\u0000\u009b\u202ec")).toBe("a?[31mb?????c")
  expect(formatTable(columns, [["x", "1", "\u001b]0;title\u0007"]])).not.toMatch(/[\u001b\u0007]/)
})
