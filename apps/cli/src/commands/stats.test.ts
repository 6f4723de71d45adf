import { expect, it } from "vitest"
import { cutToHeight } from "./stats.ts"

const table = "ROUTE\na\nb\nc\nd\n5 requests\n"

it.each([undefined, 7, 24])("a table that fits into %s rows stays whole", (rows) => {
  expect(cutToHeight(table, rows)).toBe(table)
})

it.each([
  [6, "ROUTE\na\nb\n… 2 more\n5 requests\n"],
  [5, "ROUTE\na\n… 3 more\n5 requests\n"],
  [1, "ROUTE\na\n… 3 more\n5 requests\n"],
])("in %i rows its head and its sum stay on the screen", (rows, shown) => {
  expect(cutToHeight(table, rows)).toBe(shown)
})
