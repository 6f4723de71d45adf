import { instanceSchema, keyText, MeshError, type Instance, type InstanceDetail } from "@meshwork/contract"
import { settle } from "@meshwork/contract/testing"
import type { Registry, ServerInfo } from "@meshwork/registry-core"
import { expect, it } from "vitest"
import { createStaticServices } from "./static-services.ts"

const self: ServerInfo = { id: "self", url: "http://127.0.0.1:8008" }
const other: ServerInfo = { id: "other", url: "http://127.0.0.1:8108" }
const declared = (id: string) => ({ service: "a", id, registration: { host: "127.0.0.1", port: 9000 } })

/** The part of a registry that this uses, over the records it is given. */
function scripted(ids: string[], servers: ServerInfo[]) {
  const record = (id: string): Instance =>
    instanceSchema.parse({
      service: "a",
      id,
      host: "127.0.0.1",
      port: 9000,
      origin: "config",
      registeredAt: 1,
      state: "up",
      standing: "serving",
      why: "",
      health: { status: "unknown", since: 1, reason: "", by: "" },
    })
  const records = new Map(ids.map((id) => [keyText({ service: "a", id }), record(id)]))
  const listeners = new Set<() => void>()
  const registry: Pick<Registry, "servers" | "services" | "list" | "get" | "register" | "deregister" | "onDivided"> = {
    servers: () => servers,
    services: () => [{ name: "a", instances: records.size, serving: 0, revision: 1 }],
    list: () => ({ revision: 1, instances: [...records.values()] }),
    get: (key) => records.get(keyText(key)) as InstanceDetail | undefined,
    register: async (key) => {
      const instance = record(key.id)
      records.set(keyText(key), instance)
      return { instance, created: true }
    },
    deregister: async (key) => {
      if (!records.delete(keyText(key))) throw new MeshError("not_found", "it is gone already")
    },
    onDivided: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const divide = async (...there: ServerInfo[]) => {
    servers.splice(0, servers.length, ...there)
    for (const listener of listeners) listener()
    await settle()
  }
  const present = () => [...records.values()].map(({ id }) => id).toSorted()
  return { registry: registry as Registry, ids: present, divide, listeners }
}

it("a server with a storage of its own removes at the start what its file no longer has", async () => {
  const { registry, ids } = scripted(["old", "kept"], [self])
  await createStaticServices(registry, "self", () => {}).apply([declared("kept"), declared("new")])
  expect(ids()).toEqual(["kept", "new"])
})

it("is content where somebody else removed it first", async () => {
  const { registry, ids } = scripted(["old", "older"], [self])
  const deregister = registry.deregister.bind(registry)
  registry.deregister = async (key, from) => {
    await deregister(key, from)
    throw new MeshError("not_found", "it is gone already")
  }
  await createStaticServices(registry, "self", () => {}).apply([])
  expect(ids()).toEqual([])
})

it("of several servers none removes what another one's file may have, only what it declared itself", async () => {
  const { registry, ids, divide, listeners } = scripted(["theirs"], [])
  const statics = createStaticServices(registry, "self", () => {})
  await statics.apply([declared("mine"), declared("mine2")])
  await divide(other)
  await divide(other, self)
  expect(ids()).toEqual(["mine", "mine2", "theirs"])
  expect(listeners.size).toBe(0)
  await statics.apply([declared("mine")])
  expect(ids()).toEqual(["mine", "theirs"])
})

it("one that turns out to be alone over a shared storage removes what nobody's file has", async () => {
  const { registry, ids, divide } = scripted(["old"], [])
  const statics = createStaticServices(registry, "self", () => {})
  await statics.apply([declared("mine")])
  expect(ids()).toEqual(["mine", "old"])
  await divide(self)
  expect(ids()).toEqual(["mine"])
  statics.close()
})
