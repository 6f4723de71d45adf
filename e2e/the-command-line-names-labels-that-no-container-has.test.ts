import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { dockerReason, engineOfThisFile, readme, startContainer } from "./support/docker.ts"
import { meshwork, scratchFolder } from "./support/programs.ts"

const engine = engineOfThisFile()

it.skipIf(dockerReason !== undefined)("check compares the labels of backends with the containers that run", async () => {
  const dockerd = engine()
  const file = join(scratchFolder(), "config.yml")
  writeFileSync(file, readme)
  const check = async () => {
    const run = meshwork("check", ["check", "-c", file], { env: { DOCKER_HOST: dockerd.host } })
    expect(await run.ended).toBe(0)
    return run.stdout()
  }
  await startContainer(dockerd, "orders", "orders-1")
  const told = await check()
  expect(told).toMatch(/backends\.payment: seen from here: no container at .* has the labels app_name=payment/)
  expect(told).not.toContain("backends.orders")
  await startContainer(dockerd, "payment", "payment-1")
  expect(await check()).toBe("")
})
