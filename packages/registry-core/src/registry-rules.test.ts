import type { InstanceKey } from "@meshwork/contract"
import { expect, it } from "vitest"
import { openRegistry, sampleRegistration } from "./testing/index.ts"

const key: InstanceKey = { service: "orders", id: "1" }
const by = { origin: "api", by: "test" } as const
const operator = { by: "operator" }

async function opened() {
  const { registry, clock } = await openRegistry()
  const register = (changes: Parameters<typeof sampleRegistration>[0] = {}) => registry.register(key, sampleRegistration(changes), by)
  return { registry, clock, register }
}

it("the same registration again makes no revision and renews the lease", async () => {
  const { registry, clock, register } = await opened()
  expect((await register({ tags: { a: 1 }, boot: "x" })).created).toBe(true)
  const { revision } = registry.position
  await clock.advance(10_000)
  expect(await register({ boot: "x", tags: { a: 1 } })).toMatchObject({ created: false })
  expect(registry.position.revision).toBe(revision)
  expect(registry.get(key)?.lease?.expiresAt).toBe(clock.now() + 30_000)
})

it("a registration replaces what was sent before, tags included", async () => {
  const { registry, register } = await opened()
  await register({ tags: { a: 1, b: 2 }, zone: "z1", weight: 3 })
  const { instance } = await register({ tags: { c: 3 } })
  expect(instance.tags).toEqual({ c: 3 })
  expect([instance.zone, instance.weight]).toEqual([undefined, undefined])
  expect(registry.list("orders").instances).toEqual([instance])
})

it("a registration may be made of the present record, so that of two at once neither is lost", async () => {
  const { registry, register } = await opened()
  await register({ tags: { a: 1 } })
  const add = (name: string) =>
    registry.register(key, (current) => ({ ...sampleRegistration(), tags: { ...current?.tags, [name]: 2 } }), { origin: "lyft", by: "test" })
  await Promise.all([add("b"), add("c")])
  expect(registry.get(key)).toMatchObject({ origin: "lyft", tags: { a: 1, b: 2, c: 2 } })
  const refuse = () => {
    throw new Error("no")
  }
  await expect(registry.register(key, refuse, by)).rejects.toThrow("no")
})

it.each([
  ["the check is gone", {}, "serving"],
  ["the port is another one", { check: { method: "ping" }, port: 4711 }, "out"],
] as const)("a verdict ends when %s", async (_title, later, standing) => {
  const { registry, register } = await opened()
  await register({ check: { method: "ping" } })
  await registry.reportHealth(key, { status: "failing", reason: "refused", by: "poller" })
  const { instance } = await register(later)
  expect([instance.health.status, instance.standing]).toEqual(["unknown", standing])
})

const changes = { state: "draining", weight: 7 } as const
const failing = { status: "failing", reason: "status 500", by: "poller" } as const
const check = { method: "ping" } as const

it.each([
  ["without a boot", undefined, { state: "draining", status: "failing" }],
  ["with the same boot", "x", { state: "draining", status: "failing" }],
  ["with another boot", "y", { state: "up", status: "unknown" }],
])("a registration %s leaves the own wish and health that it should", async (_title, boot, after) => {
  const { registry, clock, register } = await opened()
  await register({ boot: "x", check })
  await registry.patch(key, { state: "draining" }, { by: "itself", boot: "x" })
  await registry.reportHealth(key, failing)
  const { registeredAt } = registry.get(key) ?? { registeredAt: 0 }
  await clock.advance(1000)
  const { instance } = await register(boot === undefined ? { check } : { boot, check })
  expect({ state: instance.state, status: instance.health.status }).toEqual(after)
  expect(instance.registeredAt).toBe(boot === "y" ? registeredAt + 1000 : registeredAt)
})

it("a verdict carries how much an instance flaps, and the next one takes it away", async () => {
  const { registry, register } = await opened()
  await register({ check })
  await registry.reportHealth(key, { ...failing, availability: 0.5, penalty: 2.7 })
  expect(registry.get(key)?.health).toMatchObject({ status: "failing", availability: 0.5, penalty: 2.7 })
  await registry.reportHealth(key, { status: "passing", reason: "answered", by: "poller", availability: 0.5 })
  expect(registry.get(key)?.health).not.toHaveProperty("penalty")
})

it("a mere change of availability is a kind of its own in the journal", async () => {
  const { registry, register } = await opened()
  await register({ check })
  await registry.reportHealth(key, { ...failing, availability: 0.5 })
  await registry.reportHealth(key, { ...failing, availability: 0.45 })
  const told = registry.journal({ limit: 2 }).map(({ what, why }) => [what, why])
  expect(told).toEqual([
    ["availability", "45 % of its probes succeed, before 50 %"],
    ["failing", failing.reason],
  ])
})

it("what an operator set stays over a restart of the process until it is taken back", async () => {
  const { registry, register } = await opened()
  await register({ boot: "x", weight: 2 })
  await registry.patch(key, changes, operator)
  expect((await register({ boot: "y", weight: 2 })).instance).toMatchObject({ state: "draining", weight: 7 })
  expect(registry.get(key)?.override).toMatchObject({ state: "draining", weight: 7, by: "operator" })
  expect(await registry.patch(key, { weight: null }, operator)).toMatchObject({ state: "draining", weight: 2 })
  expect(await registry.patch(key, { state: null }, operator)).toMatchObject({ state: "up", weight: 2 })
  expect(registry.get(key)?.override).toBeUndefined()
})

it("nothing late speaks for a successor", async () => {
  const { registry, register } = await opened()
  await register({ boot: "old" })
  await register({ boot: "new" })
  expect(registry.heartbeat({ ...key, boot: "old" })).toEqual({ status: 404 })
  await expect(registry.deregister(key, { by: "test", boot: "old" })).rejects.toMatchObject({ code: "not_found" })
  await expect(registry.patch(key, { state: "draining" }, { by: "itself", boot: "old" })).rejects.toMatchObject({ code: "not_found" })
  await registry.reportHealth(key, { ...failing, boot: "old" })
  expect(registry.get(key)).toMatchObject({ boot: "new", state: "up", health: { status: "unknown" } })
  expect(registry.heartbeat(key)).toMatchObject({ status: 200 })
})

it("what is not registered is not found", async () => {
  const { registry } = await opened()
  expect(registry.heartbeat(key)).toEqual({ status: 404 })
  await expect(registry.patch(key, {}, operator)).rejects.toMatchObject({ code: "not_found" })
  await expect(registry.deregister(key, operator)).rejects.toMatchObject({ code: "not_found" })
  await registry.reportHealth(key, failing)
  expect([registry.list("orders").instances, registry.get(key), registry.position.revision]).toEqual([[], undefined, 0])
})

it("tags are merged as RFC 7396 says, with __proto__ a name like any other", async () => {
  const { registry, register } = await opened()
  await register({ tags: { keep: 1, drop: 2, deep: { a: 1, b: [1, 2] } } })
  const patch = JSON.parse('{"drop":null,"deep":{"b":[3],"c":null},"__proto__":{"x":1}}') as Record<string, never>
  const { tags } = await registry.patch(key, { tags: patch }, operator)
  expect(Object.keys(tags)).toEqual(expect.arrayContaining(["keep", "deep"]))
  expect(tags).toMatchObject({ keep: 1, deep: { a: 1, b: [3] } })
  expect([Object.hasOwn(tags, "drop"), ({} as { x?: number }).x]).toEqual([false, undefined])
  await expect(registry.patch(key, { tags: { big: "x".repeat(17_000) } }, operator)).rejects.toMatchObject({ code: "invalid_request" })
  expect(registry.get(key)?.tags).toEqual(tags)
})

it("a verdict without news changes nothing, whatever its reason says", async () => {
  const { registry, register } = await opened()
  await register({ check: { method: "http", path: "/" } })
  expect(registry.get(key)?.standing).toBe("out")
  const passing = { status: "passing", reason: "200 in 3 ms", by: "poller", availability: 1 } as const
  await registry.reportHealth(key, passing)
  expect(registry.get(key)?.standing).toBe("serving")
  const { revision } = registry.position
  await registry.reportHealth(key, { ...passing, reason: "200 in 9 ms" })
  expect([registry.position.revision, registry.get(key)?.health.reason]).toEqual([revision, "200 in 3 ms"])
  await registry.reportHealth(key, failing)
  expect(registry.get(key)).toMatchObject({ standing: "out", why: "failing: status 500" })
})

it("concurrent changes of one instance never overwrite each other", async () => {
  const { registry, register } = await opened()
  await register({ boot: "x", check })
  await Promise.all([
    registry.reportHealth(key, { status: "passing", reason: "ok", by: "poller" }),
    registry.patch(key, { weight: 9 }, operator),
    register({ boot: "x", zone: "b", check }),
    registry.patch(key, { tags: { a: 1 } }, operator),
    registry.patch(key, { state: "draining" }, { by: "itself", boot: "x" }),
  ])
  expect(registry.get(key)).toMatchObject({ weight: 9, zone: "b", state: "draining", health: { status: "passing" } })
})

it("limits are told by code and leave the registry as it was", async () => {
  const { registry } = await openRegistry({ limits: { instances: 3, services: 2, watchers: 1 } })
  const register = (service: string, id: string) => registry.register({ service, id }, sampleRegistration(), by)
  const results = await Promise.allSettled(["1", "2", "3", "4", "5"].map((id) => register("a", id)))
  expect(results.map((result) => result.status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected", "rejected"])
  await expect(register("b", "1")).rejects.toMatchObject({ code: "limit_exceeded" })
  expect((await register("a", "1")).created).toBe(false)
  for (const id of ["2", "3"]) await registry.deregister({ service: "a", id }, operator)
  await register("b", "1")
  await expect(register("c", "1")).rejects.toMatchObject({ code: "limit_exceeded" })
  const watch = registry.watch({}, () => {})
  expect(() => registry.watch({}, () => {})).toThrow(expect.objectContaining({ code: "limit_exceeded" }) as Error)
  watch.close()
  watch.close()
  registry.watch({}, () => {}).close()
})

it("the journal says who did what, when and why, newest first", async () => {
  const { registry, clock, register } = await opened()
  await register({ ttlSeconds: 10 })
  await registry.patch(key, { weight: 5 }, operator)
  await registry.register({ service: "other", id: "1" }, sampleRegistration({ ttlSeconds: 0 }), by)
  await clock.advance(11_000)
  const entries = registry.journal({ service: "orders", limit: 10 })
  expect(entries.map(({ what, by, why }) => [what, by, why])).toEqual([
    ["expired", "registry", "lease expired: last heartbeat 10.5 s ago"],
    ["patched", "operator", "weight set to 5"],
    ["registered", "test", "first registration"],
  ])
  expect(registry.journal({ limit: 1 })).toEqual(entries.slice(0, 1))
})

it("lists are sorted by id, and services are counted by standing", async () => {
  const { registry } = await opened()
  for (const id of ["b", "c", "a"]) await registry.register({ service: "s", id }, sampleRegistration({ repo: id === "a" ? "shop" : "other" }), by)
  expect(registry.list("s").instances.map((instance) => instance.id)).toEqual(["a", "b", "c"])
  await registry.patch({ service: "s", id: "b" }, { state: "disabled" }, operator)
  await registry.deregister({ service: "s", id: "c" }, operator)
  await registry.register({ service: "s", id: "aa" }, sampleRegistration(), by)
  expect(registry.list("s").instances.map((instance) => instance.id)).toEqual(["a", "aa", "b"])
  expect(registry.services()).toEqual([{ name: "s", instances: 3, serving: 2, revision: registry.position.revision }])
  expect(registry.findByRepo("shop").map((instance) => instance.id)).toEqual(["a"])
})
