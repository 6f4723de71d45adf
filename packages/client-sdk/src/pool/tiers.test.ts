import { expect, it } from "vitest"
import { fakeInstance } from "../testing/index.ts"
import type { Instance } from "@meshwork/contract"
import { PoolEndpoint } from "./pool-endpoint.ts"
import { arrange, type TierOptions } from "./tiers.ts"

const failing: Partial<Instance> = { standing: "out", health: { status: "failing", since: 0, reason: "", by: "" } }

function ports(instances: Partial<Instance>[], options: TierOptions = {}): number[][] {
  const endpoints = instances.map((changes, index) => new PoolEndpoint(fakeInstance("a", index + 1, changes)))
  return arrange(endpoints, options).map((tier) => tier.map((endpoint) => endpoint.instance.port))
}

it.each<[string, Partial<Instance>[], TierOptions, number[][]]>([
  [
    "serving before suspect before draining, never out",
    [{ standing: "draining" }, { standing: "suspect" }, {}, { standing: "out" }],
    {},
    [[3], [2], [1]],
  ],
  ["better ranks first", [{ priority: "low" }, { priority: "high" }, {}, { priority: "high" }], {}, [[2, 4], [3], [1]]],
  ["a serving low rank before a suspect high one", [{ priority: "high", standing: "suspect" }, { priority: "low" }], {}, [[2], [1]]],
  [
    "the own zone when two serve there",
    [{ zone: "x" }, { zone: "x" }, { zone: "y" }],
    { zone: "x" },
    [
      [1, 2],
      [1, 2, 3],
    ],
  ],
  ["not for one instance", [{ zone: "x" }, { zone: "y" }, { zone: "y" }], { zone: "x" }, [[1, 2, 3]]],
  [
    "not when most of the zone is out",
    [{ zone: "x" }, { zone: "x" }, { zone: "x", ...failing, weight: 3 }, { zone: "y" }],
    { zone: "x" },
    [[1, 2, 4]],
  ],
  ["all of three failing ones", [failing, failing, failing], {}, [[1, 2, 3]]],
  ["none of two failing ones", [failing, failing], {}, []],
  ["failing ones when asked to spread", [failing], { whenAllFail: "spread" }, [[1]]],
  ["none when asked to fail", [failing, failing, failing], { whenAllFail: "fail" }, []],
  ["no failing one while one serves", [failing, failing, failing, {}], {}, [[4]]],
  [
    "never a disabled one",
    [
      { ...failing, state: "disabled" },
      { ...failing, state: "disabled" },
      { ...failing, state: "disabled" },
    ],
    { whenAllFail: "spread" },
    [],
  ],
])("uses %s", (_title, instances, options, tiers) => {
  expect(ports(instances, options)).toEqual(tiers)
})
