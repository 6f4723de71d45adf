import { expect, it, test } from "vitest"
import { openStorage } from "./storages.ts"

it("knows memory", async () => {
  expect((await openStorage("memory")).name).toBe("memory")
})

test.each(["", "sqlite", "sqlite:", "memory:x", "postgres://user:secret@host/db"])("refuses '%s' with the spellings it accepts", async (spec) => {
  const message = expect.stringMatching(/accepted are memory, file:PATH, sqlite:PATH$/)
  await expect(openStorage(spec)).rejects.toMatchObject({ code: "invalid_config", message })
  await expect(openStorage(spec)).rejects.not.toMatchObject({ message: expect.stringContaining("secret") })
})
