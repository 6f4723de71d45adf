import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { StorageDeviations } from "@meshwork/registry-core"
import { memoryDeviations } from "@meshwork/registry-core/memory"
import { dynamodbDeviations } from "@meshwork/storage-dynamodb"
import { expect, it, test } from "vitest"
import { loaded, openStorage, storageKinds } from "./storages.ts"

test.each([
  ["memory", "memory"],
  ["file:.meshwork/registry.log", "file"],
  ["sqlite:.meshwork/registry.sqlite", "sqlite"],
  ["etcd://127.0.0.1:1/tree", "etcd"],
  ["dynamodb://hosts?region=eu-west-1&endpoint=http%3A%2F%2F127.0.0.1%3A1", "dynamodb"],
])("%s is the storage %s", async (spec, name) => {
  expect((await openStorage(spec)).name).toBe(name)
})

test.each(["", "sqlite", "sqlite:", "memory:x", "postgres://user:secret@host/db"])("refuses '%s' with the spellings it accepts", async (spec) => {
  const message = expect.stringMatching(/accepted are memory, file:PATH, sqlite:PATH, etcd:\/\/HOST:PORT\/TREE, dynamodb:\/\/TABLE$/)
  await expect(openStorage(spec)).rejects.toMatchObject({ code: "invalid_config", message })
  await expect(openStorage(spec)).rejects.not.toMatchObject({ message: expect.stringContaining("secret") })
})

it.each([
  ["etcd://nowhere/tree", "HOST:PORT"],
  ["dynamodb://hosts?zone=a", '"zone"'],
])("%s is refused with what is wrong", async (spec, message) => {
  await expect(openStorage(spec)).rejects.toMatchObject({ code: "invalid_config", message: expect.stringContaining(message) })
})

it("an adapter whose driver is not installed is refused with the package's name", async () => {
  const failing = (name: string) => () => import(name)
  await expect(loaded("dynamodb", failing("@meshwork/storage-nowhere"))).rejects.toMatchObject({
    code: "invalid_config",
    message: expect.stringMatching(/^the storage dynamodb needs the package @meshwork\/storage-\S+, which is not installed: npm install @meshwork/),
  })
  const broken = () => Promise.reject(new Error("broken itself"))
  await expect(loaded("dynamodb", broken)).rejects.toThrow("broken itself")
})

/** What each adapter declares; one without deviations declares none. */
const declared: Readonly<Record<string, StorageDeviations>> = { memory: memoryDeviations, dynamodb: dynamodbDeviations }

it("the reference names every storage under its spelling with what it declares, and no other", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/reference/storages.md"), "utf8")
  const rows = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map((row) => row[1])
  expect(rows).toEqual(storageKinds.map(({ spelling }) => spelling))
  const [, ...deviations] = [...page.matchAll(/^\| (\w+) \| ([^|]+) \| ([^|]+) \|$/gm)].map((row) => row.slice(1))
  expect(deviations).toEqual(
    Object.entries(declared).flatMap(([name, { unseen = {}, ...others }]) =>
      Object.entries({ ...others, ...unseen }).map(([what, why]) => [name, what, why]),
    ),
  )
  for (const name of Object.keys(declared)) expect(storageKinds.some(({ spelling }) => spelling.split(":")[0] === name)).toBe(true)
})
