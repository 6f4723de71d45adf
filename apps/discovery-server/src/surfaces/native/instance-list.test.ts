import { instanceSchema, type Instance, type InstanceFilter } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"
import { expect, it, test } from "vitest"
import { etagMatches, InstanceLists, matches } from "./instance-list.ts"

const base: Instance = instanceSchema.parse({
  service: "payment",
  id: "a",
  host: "10.0.0.7",
  port: 9000,
  zone: "eu-1",
  repo: "payment",
  tags: { env: "production", url: "http://x:1", size: 3, deep: { a: 1 } },
  origin: "api",
  registeredAt: 1,
  health: { status: "unknown", since: 1, reason: "", by: "" },
  state: "up",
  standing: "serving",
  why: "",
})

test.each<[InstanceFilter, boolean]>([
  [{}, true],
  [{ standing: "serving" }, true],
  [{ standing: "out" }, false],
  [{ zone: "eu-1", repo: "payment" }, true],
  [{ zone: "eu-2" }, false],
  [{ repo: "other" }, false],
  [{ canary: "false" }, true],
  [{ canary: "true" }, false],
  [{ tag: ["env:production"] }, true],
  [{ tag: ["url:http://x:1"] }, true],
  [{ tag: ["size:3", 'deep:{"a":1}'] }, true],
  [{ tag: ["env:production", "size:4"] }, false],
  [{ tag: ["toString:x"] }, false],
])("filter %j lets the instance through: %s", (filter, through) => {
  expect(matches(base, filter)).toBe(through)
})

test.each([
  [undefined, false],
  ['"e.1.all"', true],
  ['W/"e.1.all"', true],
  ['"e.0.all", "e.1.all"', true],
  ["*", true],
  ['"e.2.all"', false],
  ["e.1.all", false],
])("If-None-Match %s matches: %s", (header, expected) => {
  expect(etagMatches(header, '"e.1.all"')).toBe(expected)
})

it("serialises an unfiltered list once until it changes, even where the revision has not grown yet", () => {
  let instances = [base, { ...base, id: "b" }]
  const registry: Pick<Registry, "position" | "list"> = {
    position: { epoch: "e", revision: 7 },
    list: () => ({ revision: 5, instances: [...instances] }),
  }
  const lists = new InstanceLists(registry as Registry)
  const first = lists.read("payment", {})
  expect(first.etag).toBe('"e.5.all"')
  const body = first.body()
  expect(JSON.parse(body.toString())).toEqual({ service: "payment", epoch: "e", revision: 5, instances })
  expect(lists.read("payment", {}).body()).toBe(body)
  expect(lists.read("payment", { zone: "eu-1" }).etag).toMatch(/^"e\.5\.[0-9a-f]{12}"$/)
  instances = [base]
  expect(JSON.parse(lists.read("payment", {}).body().toString()).instances).toHaveLength(1)
})
