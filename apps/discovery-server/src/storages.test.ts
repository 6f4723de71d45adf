import { expect, it, test } from "vitest"
import { openStorage } from "./storages.ts"

it("knows memory", async () => {
  expect((await openStorage("memory")).name).toBe("memory")
})

test.each(["", "sqlite", "sqlite:", "memory:x", "postgres://user:secret@host/db"])("refuses '%s' with the spellings it accepts", async (spec) => {
  const message = expect.stringMatching(/accepted are memory, file:PATH, sqlite:PATH, etcd:\/\/HOST:PORT\/TREE, dynamodb:\/\/TABLE$/)
  await expect(openStorage(spec)).rejects.toMatchObject({ code: "invalid_config", message })
  await expect(openStorage(spec)).rejects.not.toMatchObject({ message: expect.stringContaining("secret") })
})

it("opens nothing yet for storages of several servers, and names what is wrong in their spelling", async () => {
  expect((await openStorage("etcd://127.0.0.1:1/tree")).name).toContain("etcd")
  expect((await openStorage("dynamodb://table?region=eu-west-1&endpoint=http://127.0.0.1:1")).name).toContain("dynamodb")
  await expect(openStorage("etcd://nowhere/tree")).rejects.toMatchObject({ code: "invalid_config", message: expect.stringContaining("HOST:PORT") })
  await expect(openStorage("dynamodb://table?zone=a")).rejects.toMatchObject({ code: "invalid_config", message: expect.stringContaining('"zone"') })
})
