import { expect, it } from "vitest"
import { findCycle, importsOf, violations } from "./check-boundaries.mjs"

it("finds every kind of import", () => {
  const text = `import { a } from "one"\nimport type { B } from "two"\nexport { c } from "three"\nimport "four"\nconst d = await import("five")\nimport {\n  e,\n} from "six"`
  expect(importsOf(text)).toEqual(["one", "two", "three", "four", "five", "six"])
})

it.each([
  ["gateway", "packages/gateway/src/a.ts", "@meshwork/registry-core", 1],
  ["gateway", "packages/gateway/src/a.ts", "@meshwork/client-sdk/pool", 0],
  ["storage-sqlite", "packages/storage/sqlite/src/a.ts", "@meshwork/storage-file", 1],
  ["registry-core", "packages/registry-core/src/a.ts", "@meshwork/contract/testing", 1],
  ["registry-core", "packages/registry-core/src/a.test.ts", "@meshwork/contract/testing", 0],
  ["contract", "packages/contract/src/a.ts", "@meshwork/cli", 1],
  ["registry-core", "packages/registry-core/src/a.ts", "fastify", 1],
  ["registry-core", "packages/registry-core/src/a.ts", "node:sqlite", 1],
  ["storage-sqlite", "packages/storage/sqlite/src/a.ts", "node:sqlite", 0],
] as const)("%s: %s importing %s has %d violations", (room, file, name, count) => {
  expect(violations(room, file, [name])).toHaveLength(count)
})

it("finds a cycle", () => {
  expect(findCycle({ a: ["b"], b: ["c"], c: ["a"] })).toEqual(["a", "b", "c", "a"])
  expect(findCycle({ a: ["b", "c"], b: ["c"], c: [] })).toBeUndefined()
})
