import { expectTypeOf, test } from "vitest"
import {
  type CallOptions,
  type CircuitBreaker,
  type Client,
  type Mesh,
  type MeshRegistration,
  type Response,
  type Strategy,
  type StrategyByMethod,
  byMethod,
  circuitBreaker,
  constantDelay,
  createClient,
  createMesh,
  Deadline,
  exponentialBackoff,
  linearBackoff,
  MeshError,
  parallel,
  retryBudget,
  sequential,
  single,
  untilDeadline,
} from "./index.ts"

test("strategies go where strategies are wanted", () => {
  expectTypeOf(single()).toEqualTypeOf<Strategy>()
  expectTypeOf(sequential({ attempts: 3, delay: linearBackoff() })).toEqualTypeOf<Strategy>()
  expectTypeOf(untilDeadline(parallel({ delay: constantDelay(5) }))).toEqualTypeOf<Strategy>()
  expectTypeOf(byMethod({ GET: sequential(), default: single() })).toEqualTypeOf<StrategyByMethod>()
  // @ts-expect-error -- hedging needs a delay
  parallel({ attempts: 3 })
  // @ts-expect-error -- a default is needed
  byMethod({ GET: single() })
  // @ts-expect-error -- exponential growth needs its base and its bound
  exponentialBackoff({})
})

test("a call answers with a response, and takes what a call can say", () => {
  const client = createClient({ endpoint: () => "http://127.0.0.1:1/" })
  expectTypeOf(client).toEqualTypeOf<Client>()
  expectTypeOf<Parameters<Client["get"]>[1]>().toEqualTypeOf<CallOptions | undefined>()
  expectTypeOf<Awaited<ReturnType<Client["get"]>>>().toEqualTypeOf<Response>()
  expectTypeOf<Response["status"]>().toEqualTypeOf<number>()
  expectTypeOf<Response>().toHaveProperty(Symbol.asyncDispose)
  expectTypeOf<Awaited<ReturnType<Response["json"]>>>().toBeUnknown()
  expectTypeOf(Deadline.after(5)).toExtend<CallOptions["deadline"]>()
  // @ts-expect-error -- priorities are three words
  void client.get("/", { priority: "urgent" })
})

test("a mesh makes clients and registrations", () => {
  expectTypeOf(createMesh).returns.toEqualTypeOf<Mesh>()
  expectTypeOf<Mesh["client"]>().returns.toEqualTypeOf<Client>()
  expectTypeOf<Mesh["register"]>().returns.resolves.toEqualTypeOf<MeshRegistration>()
  expectTypeOf(circuitBreaker()).toEqualTypeOf<CircuitBreaker>()
  expectTypeOf(retryBudget().tokens).toEqualTypeOf<number>()
  // @ts-expect-error -- the registry is needed
  createMesh({})
})

test("errors are recognised, and their codes are known", () => {
  const thrown: unknown = new Error("x")
  if (MeshError.is(thrown)) expectTypeOf(thrown.code).toExtend<string>()
  // @ts-expect-error -- the set of codes is closed
  expectTypeOf(new MeshError("no_such_code", "x")).toExtend<Error>()
})
