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

it("gives up shrinking where columns would lose their meaning", () => {
  expect(formatTable(columns, [["a-long-name", "22", "a long reason"]], 3)).toBe("NAME  N   WHY\na-l…  22  a lo…\n")
})

it("never hands control characters to the terminal", () => {
  expect(printable("a\u001b[31mb\r\n\u0000\u009b\u202ec")).toBe("a?[31mb?????c")
  expect(formatTable(columns, [["x", "1", "\u001b]0;title\u0007"]])).not.toMatch(/[\u001b\u0007]/)
})
