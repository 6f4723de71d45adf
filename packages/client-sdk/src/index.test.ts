import { expect, it } from "vitest"
import * as fastify from "./server/fastify.ts"
import * as sdk from "./index.ts"
import * as node from "./server/node.ts"
import * as testing from "./testing/index.ts"

it("exports what is written here, and a change of it is a visible one", () => {
  expect(Object.keys(sdk).toSorted()).toMatchInlineSnapshot(`
    [
      "Deadline",
      "MeshError",
      "byMethod",
      "circuitBreaker",
      "classify",
      "constantDelay",
      "createClient",
      "createMesh",
      "currentContext",
      "exponentialBackoff",
      "leastRequests",
      "linearBackoff",
      "p2c",
      "parallel",
      "passThrough",
      "percentileDelay",
      "random",
      "rendezvousHash",
      "retryBudget",
      "roundRobin",
      "runInContext",
      "sequential",
      "single",
      "split",
      "untilDeadline",
    ]
  `)
  expect([Object.keys(node), Object.keys(fastify)]).toEqual([["meshContext"], ["meshContext"]])
  expect(Object.keys(testing).toSorted()).toMatchInlineSnapshot(`
    [
      "ManualClock",
      "ScriptedTransport",
      "fakeInstance",
      "fakeMesh",
      "seededRandom",
    ]
  `)
})
